"""The export form of Matterport's Mask R-CNN (mrcnn/model.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# Registers TensorFlow's operators.
import stream_export.blocks.tensorflow_ops  # noqa: F401
from stream_export.blocks import BoxDecoder, class_masks, class_offsets, restore
from stream_export.blocks.crop_and_resize import CropAndResize
from stream_export.blocks.detections import MaskUpsample
from stream_export.blocks.joint_proposals import JointProposals
from stream_export.blocks.resnet import Pyramid, ResNet


@dataclass(frozen=True)
class MatterportConfig:
    """What distinguishes one model from another; sizes are pixels, overlaps IoU.

    Attributes:
        counts: bottlenecks per stage.
        stem: channels of the first convolution.
        width: channels of the first stage's 3x3.
        outputs: channels of the first stage; each further one has twice as many.
        channels: of the pyramid's levels.
        hidden: channels of the proposal network's convolution.
        box_channels: width of the box head.
        mask_channels: width of the mask head.
        classes: background included.
        shortest: IMAGE_MIN_DIM, which a picture's shorter edge is enlarged to.
        longest: IMAGE_MAX_DIM, the edge of the square that the picture is padded to.
        smallest_scale: IMAGE_MIN_SCALE, or 0.
        mean: MEAN_PIXEL, subtracted from red, green, blue of 0..255.
        strides: BACKBONE_STRIDES.
        anchor_sizes: RPN_ANCHOR_SCALES, one per level.
        ratios: RPN_ANCHOR_RATIOS, widths per height.
        proposals_before: PRE_NMS_LIMIT, over all levels.
        proposals_after: POST_NMS_ROIS_INFERENCE.
        proposal_iou: RPN_NMS_THRESHOLD.
        proposal_deviation: RPN_BBOX_STD_DEV: of dy, dx, dh, dw.
        box_pool: POOL_SIZE.
        mask_pool: MASK_POOL_SIZE.
        box_deviation: BBOX_STD_DEV.
        score: DETECTION_MIN_CONFIDENCE; detections must be at least this good, 0..1.
        iou: DETECTION_NMS_THRESHOLD.
        detections: DETECTION_MAX_INSTANCES.
    """

    counts: tuple[int, ...] = (3, 4, 23, 3)
    stem: int = 64
    width: int = 64
    outputs: int = 256
    channels: int = 256
    hidden: int = 512
    box_channels: int = 1024
    mask_channels: int = 256
    classes: int = 81
    shortest: int = 800
    longest: int = 1024
    smallest_scale: float = 0.0
    mean: tuple[float, ...] = (123.7, 116.8, 103.9)
    strides: tuple[int, ...] = (4, 8, 16, 32, 64)
    anchor_sizes: tuple[float, ...] = (32, 64, 128, 256, 512)
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    proposals_before: int = 6000
    proposals_after: int = 1000
    proposal_iou: float = 0.7
    proposal_deviation: tuple[float, ...] = (0.1, 0.1, 0.2, 0.2)
    box_pool: int = 7
    mask_pool: int = 14
    box_deviation: tuple[float, ...] = (0.1, 0.1, 0.2, 0.2)
    score: float = 0.7
    iou: float = 0.3
    detections: int = 100


class MatterportForm(nn.Module):
    """Speaks the contract's tensors; a converter fills the layers with a checkpoint's weights.

    Boxes are normalised within, as in the original: pixels less (0, 0, 1, 1), divided by the
    input's size less 1. Deltas are in the order dx, dy, dw, dh; the converter puts them so.
    """

    mean: Tensor
    anchors: Tensor

    def __init__(self, config: MatterportConfig, size: tuple[int, int], *, native: bool) -> None:
        """Builds the layers of one configuration, weights as torch initialises them.

        Args:
            config: of the model.
            size: height and width of the input.
            native: whether the graph itself resizes and pads the picture, as the original does,
                and answers in whole pixels of it.
        """
        super().__init__()
        self.config = config
        self.size = size
        self.native = native
        self.register_buffer("mean", torch.tensor(config.mean).reshape(1, 3, 1, 1))
        self.register_buffer("anchors", all_anchors(config, size))
        self.body = ResNet(
            config.counts,
            width=config.width,
            stem=config.stem,
            outputs=config.outputs,
            stride_in_1x1=True,
        )
        stages = [config.outputs * 2**number for number in range(len(config.counts))]
        self.pyramid = Pyramid(stages, config.channels)
        per_cell = len(config.ratios)
        self.hidden = nn.Conv2d(config.channels, config.hidden, 3, padding=1)
        self.logits = nn.Conv2d(config.hidden, 2 * per_cell, 1)
        self.deltas = nn.Conv2d(config.hidden, 4 * per_cell, 1)
        self.proposals = JointProposals(
            before=min(config.proposals_before, len(self.anchors)),
            after=config.proposals_after,
            iou=config.proposal_iou,
            decoder=_decoder(config.proposal_deviation),
        )
        self.box_pool = CropAndResize(config.box_pool)
        self.box_hidden = nn.ModuleList(
            (
                nn.Linear(config.channels * config.box_pool**2, config.box_channels),
                nn.Linear(config.box_channels, config.box_channels),
            )
        )
        self.box_logits = nn.Linear(config.box_channels, config.classes)
        self.box_deltas = nn.Linear(config.box_channels, 4 * config.classes)
        self.box_decoder = _decoder(config.box_deviation)
        self.mask_pool = CropAndResize(config.mask_pool)
        inner = config.mask_channels
        self.mask_convs = nn.ModuleList(
            nn.Conv2d(inner if number else config.channels, inner, 3, padding=1)
            for number in range(4)
        )
        self.mask_upsample = MaskUpsample(nn.ConvTranspose2d(inner, inner, 2, stride=2))
        self.mask_predictor = nn.Conv2d(inner, config.classes, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Finds instances.

        Args:
            image: uint8 [1, H, W, 3], RGB; of the form's size unless it is native.

        Returns:
            Boxes float32 [N, 4] in pixels of `image`, scores float32 [N], labels int64 [N] and
            masks float32 [N, M, M].
        """
        window = image.new_tensor((0.0, 0.0, 1.0, 1.0), dtype=torch.float32)
        if self.native:
            planes, window = self.mold(image)
        else:
            planes = image.permute(0, 3, 1, 2).to(torch.float32)
        levels = self.features(planes - self.mean)
        proposals, objectness = self.propose(levels)
        logits, deltas = self.classify(levels[:4], proposals)
        boxes, scores, labels = self.detect(logits, deltas, proposals, objectness, window)
        answer, whole = self.unmold(boxes, window, image)
        # From here on, and not before, sizes depend on the picture.
        index = torch.ops.stream.candidates(torch.where(whole, scores, -1.0))
        boxes = boxes.index_select(0, index)
        labels = labels.index_select(0, index)
        masks = self.segment(levels[:4], boxes, labels, proposals[:1])
        return answer.index_select(0, index), scores.index_select(0, index), labels - 1, masks

    def mold(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Resizes and pads a picture as `resize_image` and scikit-image's `resize` do.

        Bilinear in double precision, pixels beyond the border count as black, values are cut to
        those of the picture and then to whole numbers; the result lies in the middle of a square
        of zeros.

        Args:
            image: uint8 [1, H, W, 3].

        Returns:
            float32 [1, 3, S, S], 0..255, and the part of it that is the picture, float32 [4],
            x1, y1, x2, y2, normalised.
        """
        config, side = self.config, self.size[0]
        edges = torch.stack(
            [torch.scalar_tensor(edge, dtype=torch.float64) for edge in image.shape[1:3]]
        )
        low, high = edges.min(), edges.max()
        scale = (config.shortest / low).clamp(min=max(1.0, config.smallest_scale))
        scale = torch.where(torch.round(high * scale) > side, side / high, scale)
        target = torch.round(edges * scale)
        start = torch.floor((side - target) / 2)
        rows = _taps(edges[0], target[0], start[0], side)
        columns = _taps(edges[1], target[1], start[1], side)
        total = torch.zeros((side, side, 3), dtype=torch.float64)
        for row, down in rows:
            lines = image[0].index_select(0, row)
            for column, across in columns:
                taken = lines.index_select(1, column).to(torch.float64)
                total = total + taken * down.reshape(-1, 1, 1) * across.reshape(1, -1, 1)
        levels = image.to(torch.float64)
        # Padding stays black, however bright the picture's darkest pixel is.
        total = torch.where(total > 0, torch.maximum(total, levels.min()), total)
        planes = torch.floor(torch.minimum(total, levels.max())).to(torch.float32)
        corner = torch.cat((start.flip(0), (start + target).flip(0) - 1)) / (side - 1)
        return planes.permute(2, 0, 1).unsqueeze(0), corner.to(torch.float32)

    def features(self, planes: Tensor) -> list[Tensor]:
        """The pyramid's five levels, float32 [1, C, Hl, Wl], finest first."""
        maps = torch.ops.stream.same_max_pool(torch.relu(self.body.stem(planes)), 3, 2)
        found = []
        for stage in self.body.stages:
            maps = stage(maps)
            found.append(maps)
        levels: list[Tensor] = self.pyramid(found)
        levels.append(nn.functional.max_pool2d(levels[-1], 1, stride=2))
        return levels

    def propose(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Proposals, float32 [P, 4] normalised, and how good they are, float32 [P]."""
        logits, deltas = [], []
        for level in levels:
            hidden = torch.relu(self.hidden(level))
            logits.append(self.logits(hidden)[0].permute(1, 2, 0).reshape(-1, 2))
            deltas.append(self.deltas(hidden)[0].permute(1, 2, 0).reshape(-1, 4))
        scores = torch.softmax(torch.cat(logits), dim=1)[:, 1]
        boxes: tuple[Tensor, Tensor] = self.proposals(
            scores, torch.cat(deltas), lambda index: self.anchors.index_select(0, index), (1, 1)
        )
        return boxes

    def levels_of(self, boxes: Tensor) -> Tensor:
        """The pyramid level, int64 [R] in 0..3, of boxes, float32 [R, 4] normalised.

        Level 4 is that of 224 pixels, halves round to even, and an empty box is of the finest
        (`PyramidROIAlign`).
        """
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        canonical = 224.0 / (self.size[0] * self.size[1]) ** 0.5
        octave = torch.log2((torch.sqrt(area.clamp(min=0)) / canonical).clamp(min=1e-12))
        return (4 + torch.round(octave)).clamp(2, 5).to(torch.int64) - 2

    def classify(self, levels: Sequence[Tensor], boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits [R, classes] and deltas [R, classes, 4] of boxes [R, 4]."""
        pooled, order = self.box_pool(levels, boxes, self.levels_of(boxes))
        values = pooled.flatten(1)
        for layer in self.box_hidden:
            values = torch.relu(layer(values))
        deltas = self.box_deltas(values).reshape(-1, self.config.classes, 4)
        # Of equal scores, such as several of 1.0, the better proposal's goes first.
        return restore(self.box_logits(values), order), restore(deltas, order)

    def detect(
        self, logits: Tensor, deltas: Tensor, boxes: Tensor, objectness: Tensor, window: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The best boxes of a fixed count, one class each (`refine_detections_graph`).

        Returns:
            Boxes float32 [D, 4] normalised, scores float32 [D] (descending; 0 or less: none),
            labels int64 [D], background being 0.
        """
        config = self.config
        scores, labels = torch.softmax(logits, dim=1).max(dim=1)
        rows = torch.arange(labels.shape[0]) * config.classes + labels
        refined = self.box_decoder(deltas.reshape(-1, 4).index_select(0, rows), boxes)
        low, high = window[:2].repeat(2), window[2:].repeat(2)
        refined = torch.minimum(torch.maximum(refined, low), high)
        usable = (labels > 0) & (scores >= config.score) & (objectness > 0)
        scores = torch.where(usable, scores, -1.0)
        apart = refined + class_offsets(labels, config.classes, (1, 1))
        kept = torch.ops.stream.suppress(apart[None], scores[None], config.iou, config.detections)
        best, index = torch.topk(kept[0], min(config.detections, kept.shape[1]))
        return refined.index_select(0, index), best, labels.index_select(0, index)

    def unmold(self, boxes: Tensor, window: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes in pixels, float32 [D, 4], and whether they have an area, bool [D].

        In the picture's own pixels where the form is native, and then rounded, halves to even
        (`unmold_detections`).
        """
        if self.native:
            origin = window[:2].repeat(2)
            boxes = (boxes - origin) / (window[2:].repeat(2) - origin)
            height, width = image.shape[1:3]
        else:
            height, width = self.size
        last = torch.stack(
            [torch.scalar_tensor(edge, dtype=torch.float64) for edge in (width, height)] * 2
        )
        # Double precision, since a rounding hangs on it.
        pixels = boxes.to(torch.float64) * (last - 1) + last.new_tensor((0.0, 0.0, 1.0, 1.0))
        if self.native:
            pixels = torch.round(pixels)
        pixels = pixels.to(torch.float32)
        return pixels, (pixels[:, 2] > pixels[:, 0]) & (pixels[:, 3] > pixels[:, 1])

    def segment(
        self, levels: Sequence[Tensor], boxes: Tensor, labels: Tensor, spare: Tensor
    ) -> Tensor:
        """Soft masks, float32 [N, 2P, 2P], of boxes, float32 [N, 4] normalised, of some class.

        ONNX Runtime's int8 convolution crashes on an empty batch, so that one more box, `spare`,
        float32 [1, 4], always goes through.
        """
        regions = torch.cat((boxes, spare))
        rows = torch.cat((labels, labels.new_zeros(1)))
        maps, order = self.mask_pool(levels, regions, self.levels_of(regions))
        for conv in self.mask_convs:
            maps = torch.relu(conv(maps))
        masks = class_masks(
            self.mask_upsample(maps),
            self.mask_predictor.weight.flatten(1),
            self.mask_predictor.bias,
            rows.index_select(0, order),
            parts=4,
        )
        return restore(masks, order)[:-1]


def all_anchors(config: MatterportConfig, size: tuple[int, int]) -> Tensor:
    """The anchors of all levels, float32 [K, 4] (x1, y1, x2, y2), normalised.

    In double precision up to the end, as `generate_pyramid_anchors` does; by level, row, column,
    ratio. A ratio is a width per height.
    """
    found = []
    for edge, stride in zip(config.anchor_sizes, config.strides, strict=True):
        roots = torch.tensor(config.ratios, dtype=torch.float64).sqrt()
        half = torch.stack((edge * roots, edge / roots), dim=1) / 2
        rows, columns = (
            torch.arange(-(-length // stride), dtype=torch.float64) * stride for length in size
        )
        centres = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1).unsqueeze(2)
        found.append(torch.cat((centres - half, centres + half), dim=-1).reshape(-1, 4))
    shift = torch.tensor((0.0, 0.0, 1.0, 1.0), dtype=torch.float64)
    last = torch.tensor((size[1], size[0], size[1], size[0]), dtype=torch.float64) - 1
    return ((torch.cat(found) - shift) / last).to(torch.float32)


def _decoder(deviation: Sequence[float]) -> BoxDecoder:
    """Deltas are multiplied by deviations of dy, dx, dh, dw; exponents are not limited."""
    dy, dx, dh, dw = (1 / value for value in deviation)
    return BoxDecoder((dx, dy, dw, dh), clamp=float("inf"))


def _taps(old: Tensor, new: Tensor, start: Tensor, side: int) -> list[tuple[Tensor, Tensor]]:
    """The two source pixels of each place along a padded edge, and what each counts.

    Args:
        old: the picture's edge in pixels, float64 [].
        new: that of the resized picture.
        start: where it begins.
        side: of the square.

    Returns:
        Twice: int64 [side], and float64 [side], which is 0 outside of the picture.
    """
    place = torch.arange(side, dtype=torch.float64) - start
    position = (place + 0.5) * (old / new) - 0.5
    low = torch.floor(position)
    part = position - low
    inside = (place >= 0) & (place < new)
    taps = []
    for pixel, weight in ((low, 1 - part), (low + 1, part)):
        counts = inside & (pixel >= 0) & (pixel < old)
        index = torch.minimum(pixel.clamp(min=0), old - 1).to(torch.int64)
        taps.append((index, torch.where(counts, weight, 0.0)))
    return taps
