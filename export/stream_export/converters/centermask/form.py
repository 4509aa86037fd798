"""The export form of CenterMask2: VoVNet, FPN, FCOS and a mask head with spatial attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stream_export.blocks import LevelPool, MaskUpsample, Pixels, class_masks, clip, restore
from stream_export.blocks.fcos import FcosDetections, FcosHead
from stream_export.blocks.resnet import Pyramid
from stream_export.blocks.vovnet import VovNet, VovStage

_POOL = 14
_STRIDES = (8, 16, 32, 64, 128)
_GROUPS = 32


@dataclass(frozen=True)
class CenterMaskConfig:
    """What distinguishes one published model from another.

    Attributes:
        stem: channels of the stem's three convolutions.
        stages: of the body.
        channels: of the pyramid.
        towers: convolutions in each FCOS tower.
        classes: without background.
        mask_convs: channels of the mask head's convolutions.
        iou_convs: channels of the mask-IoU head's convolutions, of which the last has a stride.
        iou_layers: widths of its fully connected layers; empty where there is no such head.
        mean: subtracted from pixels of 0..255, in BGR order.
        deviation: divided by.
        score: a class probability must be above this, 0..1.
        iou: suppression threshold.
        before: candidates per level.
        detections: at most this many.
        mask_score: whether the score is multiplied by the predicted IoU of the mask.
    """

    stem: tuple[int, int, int]
    stages: tuple[VovStage, ...]
    channels: int
    towers: int
    classes: int
    mask_convs: tuple[int, ...]
    iou_convs: tuple[int, ...]
    iou_layers: tuple[int, ...]
    mean: tuple[float, ...] = (103.53, 116.28, 123.675)
    deviation: tuple[float, ...] = (1.0, 1.0, 1.0)
    score: float = 0.05
    iou: float = 0.6
    before: int = 1000
    detections: int = 50
    mask_score: bool = False


class CenterMaskForm(nn.Module):
    """Speaks the contract's tensors; a converter fills the layers with a checkpoint's weights."""

    def __init__(self, config: CenterMaskConfig) -> None:
        """Builds the layers of one configuration, weights as torch initialises them."""
        super().__init__()
        self.config = config
        self.pixels = Pixels(
            config.mean, config.deviation, divisor=1.0, channels="bgr", multiple_of=32
        )
        self.body = VovNet(config.stem, config.stages)
        channels = config.channels
        self.pyramid = Pyramid([stage.outputs for stage in config.stages[1:]], channels)
        self.coarser = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, stride=2, padding=1) for _ in range(2)
        )
        self.head = FcosHead(channels, config.classes, config.towers, len(_STRIDES), _GROUPS)
        self.detections = FcosDetections(
            _STRIDES,
            score=config.score,
            iou=config.iou,
            before=config.before,
            count=config.detections,
        )
        self.mask_pool = RatioPool([1 / stride for stride in _STRIDES[:3]], _POOL)
        self.mask_head = AttentionMaskHead(channels, config)
        self.iou_head = MaskIouHead(channels, config) if config.mask_score else None

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Finds instances.

        Masks are made for boxes as FCOS gives them and pasted into boxes clipped to the picture,
        since that is what the original does.

        Args:
            image: uint8 [1, H, W, 3], RGB.

        Returns:
            Boxes float32 [N, 4] in pixels of `image`, scores float32 [N], labels int64 [N] and
            masks float32 [N, M, M].
        """
        content = (image.shape[1], image.shape[2])
        levels = self.features(self.pixels(image))
        boxes, scores, labels, first = self.detections(self.head(levels))
        # ONNX Runtime's int8 convolution crashes on an empty batch, so that one more region, the
        # best candidate, always goes through the mask head.
        regions = torch.cat([boxes, first])
        rows = torch.cat([labels, labels.new_zeros(1)])
        pooled, order = self.mask_pool.pool(levels, regions, content)
        rows = rows.index_select(0, order)
        soft = self.mask_head(pooled, rows)
        masks = restore(soft, order)[:-1]
        boxes = clip(boxes, *content)
        if self.iou_head is None:
            return boxes, scores, labels, masks
        scores = scores * restore(self.iou_head(pooled, soft, rows), order)[:-1].clamp(0, 1)
        best = torch.argsort(scores, descending=True)
        return boxes[best], scores[best], labels[best], masks[best]

    def features(self, padded: Tensor) -> list[Tensor]:
        """The pyramid P3 to P7, float32 [1, C, Hl, Wl]."""
        levels: list[Tensor] = self.pyramid(self.body(padded)[1:])
        levels.append(self.coarser[0](levels[-1]))
        levels.append(self.coarser[1](torch.relu(levels[-1])))
        return levels


class RatioPool(LevelPool):
    """RoIAlign on the level that suits a box's share of the picture (CenterMask, equation 1)."""

    def __init__(self, scales: Sequence[float], size: int) -> None:
        """Sets up; see `LevelPool`."""
        super().__init__(scales, size, sampling_ratio=0, aligned=True, lowest=3)

    def pool(
        self, features: Sequence[Tensor], boxes: Tensor, content: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Pools boxes, float32 [R, 4], of a picture of `content` (height, width) pixels.

        Returns:
            float32 [R, C, P, P], sorted by level, and int64 [R], the box that each row is of.
        """
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        picture = torch.scalar_tensor(content[0] * content[1], dtype=torch.float32)
        highest = self.lowest + len(self.scales) - 1
        level = torch.ceil(highest - torch.log2(picture / area.clamp(min=1e-6) + 1e-8))
        level = level.clamp(min=self.lowest, max=highest) - self.lowest
        pooled: tuple[Tensor, Tensor] = torch.ops.stream.roi_align_levels(
            list(features[: len(self.scales)]),
            boxes,
            level.to(torch.int64),
            self.scales,
            self.size,
            self.sampling_ratio,
            self.aligned,
        )
        return pooled


class AttentionMaskHead(nn.Module):
    """Convolutions, attention over cells, a deconvolution, the found class's mask (SAG-Mask)."""

    def __init__(self, channels: int, config: CenterMaskConfig) -> None:
        """Builds the layers of one configuration."""
        super().__init__()
        self.convs = _chain(channels, config.mask_convs)
        last = (config.mask_convs or (channels,))[-1]
        self.attention = nn.Conv2d(2, 1, 3, padding=1, bias=False)
        self.upsample = MaskUpsample(nn.ConvTranspose2d(last, last, 2, stride=2))
        self.predictor = nn.Conv2d(last, config.classes, 1)

    def forward(self, pooled: Tensor, labels: Tensor) -> Tensor:
        """float32 [R, C, P, P] and int64 [R] to soft masks, float32 [R, 2P, 2P], 0..1."""
        maps = pooled
        for layer in self.convs:
            maps = torch.relu(layer(maps))
        pair = torch.cat([maps.mean(dim=1, keepdim=True), maps.amax(dim=1, keepdim=True)], dim=1)
        maps = maps * torch.sigmoid(self.attention(pair))
        grown = self.upsample(maps)
        weight = self.predictor.weight.flatten(1)
        return class_masks(grown, weight, self.predictor.bias, labels, parts=4)


class MaskIouHead(nn.Module):
    """How well a mask fits, guessed from the region and the mask (Mask Scoring R-CNN)."""

    def __init__(self, channels: int, config: CenterMaskConfig) -> None:
        """Builds the layers of one configuration."""
        super().__init__()
        self.convs = _chain(channels + 1, config.iou_convs, last_stride=2)
        inputs = config.iou_convs[-1] * (_POOL // 2) ** 2
        self.layers = nn.ModuleList()
        for width in config.iou_layers:
            self.layers.append(nn.Linear(inputs, width))
            inputs = width
        self.last = nn.Linear(inputs, config.classes)

    def forward(self, pooled: Tensor, soft: Tensor, labels: Tensor) -> Tensor:
        """Regions [R, C, P, P], masks [R, 2P, 2P] and labels [R] to float32 [R]."""
        small = nn.functional.max_pool2d(soft.unsqueeze(1), 2, stride=2)
        maps = torch.cat([pooled, small], dim=1)
        for layer in self.convs:
            maps = torch.relu(layer(maps))
        values = maps.flatten(1)
        for layer in self.layers:
            values = torch.relu(layer(values))
        fit: Tensor = self.last(values).gather(1, labels.unsqueeze(1)).squeeze(1)
        return fit


def _chain(inputs: int, channels: Sequence[int], last_stride: int = 1) -> nn.ModuleList:
    layers = nn.ModuleList()
    for number, count in enumerate(channels, 1):
        stride = last_stride if number == len(channels) else 1
        layers.append(nn.Conv2d(inputs, count, 3, stride=stride, padding=1))
        inputs = count
    return layers
