"""The export form of the TensorFlow Object Detection API's Mask R-CNN.

Functions named in brackets are the original's, in faster_rcnn_meta_arch.py and post_processing.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stream.errors import ModelError
from stream_export.blocks import AnchorGrid, BoxDecoder, cell_anchors, clip
from stream_export.blocks.crop_and_resize import CropAndResize, frame_masks
from stream_export.blocks.joint_proposals import JointProposals
from stream_export.blocks.region_masks import ResizedConv, class_conv_masks
from stream_export.checkpoints.weights import Weights
from stream_export.converters.tensorflow.bodies import INCEPTION_EPSILON, body_of, build
from stream_export.converters.tensorflow.slim import SlimConv

FIRST_BOXES, SECOND_BOXES = "FirstStageBoxPredictor", "SecondStageBoxPredictor"


@dataclass(frozen=True)
class TensorflowConfig:
    """What a `pipeline.config` says and the weights do not; sizes are pixels, overlaps IoU.

    Attributes:
        shortest: the picture's shorter edge, unless the longer one would pass `longest`.
        longest: see `shortest`.
        stride: input pixels per cell of the feature map, and between anchors.
        anchor_base: edge of an anchor of scale 1.
        anchor_scales: of the edges.
        anchor_ratios: widths per height.
        hidden_dilation: of the proposal network's convolution.
        proposals: at most this many.
        proposal_score: proposals must be better than this, 0..1.
        proposal_iou: suppression among proposals.
        candidates: anchors that enter suppression, where the original takes all.
        crop: cells that a region is sampled at, along an edge.
        pool: kernel of the pooling behind that.
        pool_stride: its stride.
        score: detections must be better than this, 0..1.
        iou: suppression among detections of a class.
        per_class: at most this many detections of a class.
        detections: at most this many.
        mask_size: cells along an edge.
        clip_last: whether boxes are clipped behind suppression (versions since 2019) or before it.
    """

    shortest: int = 800
    longest: int = 1365
    stride: int = 16
    anchor_base: float = 256.0
    anchor_scales: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    hidden_dilation: int = 1
    proposals: int = 100
    proposal_score: float = 0.0
    proposal_iou: float = 0.7
    candidates: int = 6000
    crop: int = 14
    pool: int = 2
    pool_stride: int = 2
    score: float = 0.3
    iou: float = 0.6
    per_class: int = 100
    detections: int = 100
    mask_size: int = 15
    clip_last: bool = False


class TensorflowForm(nn.Module):
    """Speaks the contract's tensors, with a frozen graph's weights."""

    scale: Tensor
    mean: Tensor

    def __init__(
        self, config: TensorflowConfig, weights: Weights, *, native: bool, fine: int
    ) -> None:
        """Builds and fills the layers.

        Args:
            config: of the model.
            weights: of the frozen graph.
            native: whether the graph itself resizes the picture, as the original does.
            fine: cells of the contract's masks per cell of the model's, see `frame_masks`.

        Raises:
            ModelError: a constant is missing or of the wrong shape.
        """
        super().__init__()
        self.config = config
        self.native = native
        self.fine = fine
        resnet = body_of(weights)[0] == "resnet"
        # Slim's ResNets take the mean off, Inception wants -1..1.
        mean = (123.68, 116.779, 103.939) if resnet else (1.0, 1.0, 1.0)
        self.register_buffer("mean", torch.tensor(mean).reshape(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(1.0 if resnet else 2.0 / 255.0))
        self.first, self.second = build(weights, config.stride)
        self.hidden = SlimConv(
            weights, "Conv", epsilon=INCEPTION_EPSILON, dilation=config.hidden_dilation
        )
        self.logits = _filled(weights, f"{FIRST_BOXES}/ClassPredictor")
        self.deltas = _filled(weights, f"{FIRST_BOXES}/BoxEncodingPredictor", swapped=True)
        cells = cell_anchors(
            [config.anchor_base * scale for scale in config.anchor_scales],
            [1 / ratio for ratio in config.anchor_ratios],
            rounded=False,
        )
        self.anchors = AnchorGrid(cells, config.stride)
        decoder = BoxDecoder((10.0, 10.0, 5.0, 5.0), clamp=float("inf"))
        self.proposals = JointProposals(
            before=config.candidates,
            after=config.proposals,
            iou=config.proposal_iou,
            score=config.proposal_score,
            decoder=decoder,
            clip_last=config.clip_last,
        )
        self.crop = CropAndResize(config.crop)
        self.box_logits = _filled(weights, f"{SECOND_BOXES}/ClassPredictor")
        self.box_deltas = _filled(weights, f"{SECOND_BOXES}/BoxEncodingPredictor", swapped=True)
        self.classes = weights.shape(f"{SECOND_BOXES}/ClassPredictor.weight")[0] - 1
        self.box_decoder = decoder
        self._build_masks(weights)

    def _build_masks(self, weights: Weights) -> None:
        """Builds the mask head: the enlargement is part of its first convolution."""
        names = mask_layers(weights)
        height, width = self._seen(weights)
        with torch.no_grad():
            first = SlimConv(weights, names[0], epsilon=INCEPTION_EPSILON)
            assert first.conv.bias is not None
            self.mask_first = ResizedConv(
                first.conv.weight, first.conv.bias, (height, width), self.config.mask_size
            )
        self.mask_convs = nn.ModuleList(
            SlimConv(weights, name, epsilon=INCEPTION_EPSILON) for name in names[1:-1]
        )
        self.mask_last = _filled(weights, names[-1])

    def _seen(self, weights: Weights) -> tuple[int, int]:
        """Height and width of what the heads see of a region, by trying the backbone.

        Raises:
            ModelError: its layers do not fit together.
        """
        edge = (self.config.crop - self.config.pool) // self.config.pool_stride + 1
        try:
            with torch.no_grad():
                maps = self.first(torch.zeros(1, 3, 64, 64))
                seen = self.second(torch.zeros(1, maps.shape[1], edge, edge)).shape
        except RuntimeError as error:
            raise _misfit(weights) from error
        heads = (
            weights.shape(f"{SECOND_BOXES}/ClassPredictor.weight")[1],
            weights.shape(f"{mask_layers(weights)[0]}.weight")[1],
        )
        if maps.shape[1] != self.hidden.conv.in_channels or set(heads) != {seen[1]}:
            raise _misfit(weights)
        return seen[2], seen[3]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Finds instances.

        Args:
            image: uint8 [1, H, W, 3], RGB.

        Returns:
            Boxes float32 [N, 4] in pixels of `image`, scores float32 [N], labels int64 [N],
            masks float32 [N, M, M], and the frames that these lie in, float32 [N, 4].
        """
        planes = image.permute(0, 3, 1, 2).to(torch.float32)
        if self.native:
            planes = torch.ops.stream.resize_to_range(
                planes, self.config.shortest, self.config.longest
            )
        size = (planes.shape[2], planes.shape[3])
        features = self.first(planes * self.scale - self.mean)
        proposals, objectness = self.propose(features, size)
        edges = _edges(size)
        seen = self.regions(features, proposals / edges).mean(dim=(2, 3))
        boxes, scores, labels = self.detect(
            self.box_logits(seen), self.box_deltas(seen), proposals, objectness, size
        )
        # From here on, and not before, sizes depend on the picture.
        index = torch.ops.stream.candidates(scores)
        boxes = boxes.index_select(0, index) / edges
        labels = labels.index_select(0, index)
        masks = self.segment(features, boxes, labels, proposals[:1] / edges)
        picture = (image.shape[1], image.shape[2])
        framed, frames = frame_masks(masks, boxes, picture, self.fine)
        return boxes * _edges(picture), scores.index_select(0, index), labels, framed, frames

    def propose(self, features: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Proposals, float32 [P, 4] in pixels of the resized picture, and how good they are."""
        hidden = self.hidden(features).clamp(max=6.0)
        logits = self.logits(hidden)[0].permute(1, 2, 0).reshape(-1, 2)
        deltas = self.deltas(hidden)[0].permute(1, 2, 0).reshape(-1, 4)
        grid = (features.shape[2], features.shape[3])

        def anchors(index: Tensor) -> Tensor:
            return clip(self.anchors(index, grid, size), *size)

        scores = torch.softmax(logits, dim=1)[:, 1]
        found: tuple[Tensor, Tensor] = self.proposals(scores, deltas, anchors, size)
        return found

    def regions(self, features: Tensor, boxes: Tensor) -> Tensor:
        """What the second half of the backbone makes of boxes, float32 [R, 4] normalised."""
        config = self.config
        maps, _ = self.crop([features], boxes)
        if config.pool > 1 or config.pool_stride > 1:
            maps = nn.functional.max_pool2d(maps, config.pool, config.pool_stride)
        found: Tensor = self.second(maps)
        return found

    def detect(
        self,
        logits: Tensor,
        deltas: Tensor,
        proposals: Tensor,
        objectness: Tensor,
        size: tuple[int, int],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The best (proposal, class) pairs (`batch_multiclass_non_max_suppression`).

        Returns:
            Boxes float32 [D, 4] in pixels of the resized picture, scores float32 [D] (descending;
            0 or less: none), labels int64 [D].
        """
        config = self.config
        count = proposals.shape[0]
        probabilities = torch.softmax(logits, dim=1)[:, 1:]
        usable = (probabilities > config.score) & (objectness > 0).unsqueeze(1)
        scores = torch.where(usable, probabilities, -1.0).transpose(0, 1)
        shared = deltas.reshape(count, -1, 4)
        boxes = self.box_decoder(shared, proposals.unsqueeze(1)).transpose(0, 1)
        boxes = boxes.expand(self.classes, count, 4)
        if not config.clip_last:
            boxes = clip(boxes, *size)
        # Classes are groups that do not see each other.
        kept = torch.ops.stream.suppress(
            boxes.contiguous(), scores.contiguous(), config.iou, config.per_class
        )
        boxes = clip(boxes, *size)
        area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
        kept = torch.where(area > 0, kept, -1.0)
        best, index = torch.topk(kept.flatten(), min(config.detections, self.classes * count))
        labels = torch.div(index, count, rounding_mode="trunc")
        return boxes.reshape(-1, 4).index_select(0, index), best, labels

    def segment(self, features: Tensor, boxes: Tensor, labels: Tensor, spare: Tensor) -> Tensor:
        """Soft masks, float32 [N, M, M], of boxes, float32 [N, 4] normalised, of some class.

        ONNX Runtime's int8 convolution crashes on an empty batch, so that one more box, `spare`,
        float32 [1, 4], always goes through.
        """
        maps = torch.relu(self.mask_first(self.regions(features, torch.cat((boxes, spare)))))
        for conv in self.mask_convs:
            maps = conv(maps)
        rows = torch.cat((labels, labels.new_zeros(1)))
        last = self.mask_last
        if last.weight.shape[0] == 1:
            rows = torch.zeros_like(rows)
        assert last.bias is not None
        return class_conv_masks(maps, last.weight, last.bias, rows)[:-1]


def mask_layers(weights: Weights) -> list[str]:
    """The mask head's convolutions in order: Conv, Conv_1, Conv_2..."""
    found = [f"{SECOND_BOXES}/Conv"]
    while f"{SECOND_BOXES}/Conv_{len(found)}.weight" in weights:
        found.append(f"{SECOND_BOXES}/Conv_{len(found)}")
    return found


def _misfit(weights: Weights) -> ModelError:
    return ModelError(
        f"{weights.path}: its layers do not fit together; the graph is cut short, or of a variant "
        "that this converter does not know"
    )


def _edges(size: Sequence[int]) -> Tensor:
    """Width, height, width, height of a height and a width, float32 [4]."""
    height, width = (torch.scalar_tensor(edge, dtype=torch.float32) for edge in size)
    return torch.stack((width, height, width, height))


def _filled(weights: Weights, name: str, *, swapped: bool = False) -> nn.Conv2d | nn.Linear:
    """A layer as its weights have it; `swapped` puts y, x, h, w in the order x, y, w, h."""
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    if swapped:
        weight, bias = (
            value.reshape(-1, 4, *value.shape[1:])[:, [1, 0, 3, 2]].reshape(value.shape)
            for value in (weight, bias)
        )
    layer: nn.Conv2d | nn.Linear
    if weight.ndim == 4:
        kernel = (weight.shape[2], weight.shape[3])
        layer = nn.Conv2d(weight.shape[1], weight.shape[0], kernel)
    else:
        layer = nn.Linear(weight.shape[1], weight.shape[0])
    weights.put(layer, "weight", weight, name)
    weights.put(layer, "bias", bias, name)
    return layer
