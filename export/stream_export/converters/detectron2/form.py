"""The export form of Detectron's and Detectron2's Mask R-CNN: FPN, C4 and dilated C5 bodies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from stream_export.blocks import (
    AnchorGrid,
    BoxDecoder,
    Detections,
    LevelPool,
    MaskUpsample,
    Pixels,
    Proposals,
    cell_anchors,
    class_masks,
    restore,
)
from stream_export.blocks.deformable import Deformable
from stream_export.blocks.resnet import Pyramid, ResNet, residual_stage

BodyKind = Literal["fpn", "c4", "dc5"]

# detectron2 guards the logarithm of an empty box with this (modeling/poolers.py).
_LEVEL_EPSILON = 1e-8


@dataclass(frozen=True)
class RcnnConfig:
    """What distinguishes one published model from another; sizes are pixels, overlaps IoU.

    Attributes:
        body: `fpn`; `c4`, whose fourth stage is the head; `dc5`, whose fourth stage dilates.
        counts: bottlenecks per stage.
        groups: of the 3x3 convolutions.
        width: channels per group of the first stage's 3x3.
        stem: channels of the stem.
        outputs: channels of the first stage.
        stride_in_1x1: whether the first 1x1 of a stage has the stride.
        channels: of the pyramid's levels.
        mean: subtracted from pixels of 0..255, in the order of `order`.
        deviation: divided by.
        order: of the colour channels.
        multiple_of: pictures are padded up to a multiple of this, with zeros after normalisation.
        anchor_sizes: square roots of areas, per level.
        ratios: heights per width.
        hidden: channels of the proposal network's 3x3 convolutions.
        proposals_before: per level, before suppression.
        proposals_after: over all levels.
        proposal_iou: suppression among proposals.
        proposal_weights: divisors of the proposals' deltas.
        box_pool: cells along an edge.
        box_weights: divisors of the detections' deltas.
        box_convs: channels of the box head's convolutions.
        box_layers: widths of its fully connected layers.
        classes: without background.
        box_classes: rows of the box predictor, `classes`, or 1 where classes share a box.
        mask_pool: cells along an edge, before the deconvolution.
        mask_convs: channels of the mask head's convolutions.
        mask_channels: behind the deconvolution.
        mask_classes: `classes`, or 1 where classes share a mask.
        sampling_ratio: RoIAlign's for the boxes' head; 0 adapts to the box.
        aligned: whether RoIAlign is shifted by half a cell there.
        mask_sampling_ratio: the same for the masks' head.
        mask_aligned: likewise.
        level_epsilon: added to a region's edge over 224 pixels, which tells its level.
        sigmoid: whether each class has a probability of its own, rather than all of them a sum.
        score: detections must be better than this, 0..1.
        iou: suppression among detections.
        detections: at most this many.
        deformable: per stage and bottleneck, how its 3x3 is deformed, if it is; empty for none.
    """

    body: BodyKind = "fpn"
    counts: tuple[int, ...] = (3, 4, 6, 3)
    groups: int = 1
    width: int = 64
    stem: int = 64
    outputs: int = 256
    stride_in_1x1: bool = True
    channels: int = 256
    mean: tuple[float, ...] = (103.53, 116.28, 123.675)
    deviation: tuple[float, ...] = (1.0, 1.0, 1.0)
    order: Literal["rgb", "bgr"] = "bgr"
    multiple_of: int = 32
    anchor_sizes: tuple[tuple[float, ...], ...] = ((32,), (64,), (128,), (256,), (512,))
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    hidden: tuple[int, ...] = (256,)
    proposals_before: int = 1000
    proposals_after: int = 1000
    proposal_iou: float = 0.7
    proposal_weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    box_pool: int = 7
    box_weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    box_convs: tuple[int, ...] = ()
    box_layers: tuple[int, ...] = (1024, 1024)
    classes: int = 80
    box_classes: int = 80
    mask_pool: int = 14
    mask_convs: tuple[int, ...] = (256, 256, 256, 256)
    mask_channels: int = 256
    mask_classes: int = 80
    sampling_ratio: int = 0
    aligned: bool = True
    mask_sampling_ratio: int = 0
    mask_aligned: bool = True
    level_epsilon: float = _LEVEL_EPSILON
    sigmoid: bool = False
    score: float = 0.05
    iou: float = 0.5
    detections: int = 100
    deformable: tuple[tuple[Deformable | None, ...], ...] = ()

    @property
    def strides(self) -> tuple[int, ...]:
        """Input pixels per cell of each level that proposals come from."""
        if self.body == "fpn":
            return tuple(4 * 2**level for level in range(len(self.anchor_sizes)))
        return (16,)


class RcnnForm(nn.Module):
    """Speaks the contract's tensors; a converter fills the layers with a checkpoint's weights."""

    def __init__(self, config: RcnnConfig) -> None:
        """Builds the layers of one configuration, weights as torch initialises them."""
        super().__init__()
        self.config = config
        fpn = config.body == "fpn"
        self.pixels = Pixels(
            config.mean,
            config.deviation,
            divisor=1.0,
            channels=config.order,
            multiple_of=config.multiple_of,
        )
        self.body = ResNet(
            config.counts[:3] if config.body == "c4" else config.counts,
            groups=config.groups,
            width=config.width,
            stem=config.stem,
            outputs=config.outputs,
            stride_in_1x1=config.stride_in_1x1,
            last_dilated=config.body == "dc5",
            deformable=config.deformable,
        )
        stages = [config.outputs * 2**number for number in range(len(self.body.stages))]
        uneven = config.multiple_of % 32 != 0
        self.pyramid = Pyramid(stages, config.channels, uneven=uneven) if fpn else None
        channels = config.channels if fpn else stages[-1]
        self.proposer = _Proposer(channels, config)
        self.proposals = Proposals(
            [
                AnchorGrid(
                    torch.cat(
                        [cell_anchors([size], config.ratios, rounded=False) for size in sizes]
                    ),
                    stride,
                )
                for sizes, stride in zip(config.anchor_sizes, config.strides, strict=True)
            ],
            before=config.proposals_before,
            after=config.proposals_after,
            iou=config.proposal_iou,
            # Only empty boxes are dropped.
            minimum=1e-12,
            decoder=BoxDecoder(config.proposal_weights),
            by_logit=True,
        )
        # The pyramid's coarsest level has proposals but no regions.
        scales = [1 / stride for stride in (config.strides[:4] if fpn else config.strides)]
        # Proposals are many, so the order in which they are pooled matters.
        self.box_pool = LevelPool(
            scales,
            config.box_pool,
            sampling_ratio=config.sampling_ratio,
            aligned=config.aligned,
            epsilon=config.level_epsilon,
            epsilon_inside=True,
            tile=64,
        )
        self.mask_pool = LevelPool(
            scales,
            config.mask_pool,
            sampling_ratio=config.mask_sampling_ratio,
            aligned=config.mask_aligned,
            epsilon=config.level_epsilon,
            epsilon_inside=True,
        )
        self.head: nn.Module | None = None
        if config.body == "c4":
            channels = 8 * config.outputs
            self.head = residual_stage(
                config.counts[3],
                4 * config.outputs,
                8 * config.groups * config.width,
                channels,
                stride=2,
                groups=config.groups,
                stride_in_1x1=config.stride_in_1x1,
                deformable=config.deformable[3] if config.deformable else (),
            )
        self.box_head = BoxHead(channels, config)
        self.detections = Detections(
            score=config.score,
            iou=config.iou,
            count=config.detections,
            # Empty boxes take part in suppression here and are dropped where they are shown.
            minimum=0.0,
            decoder=BoxDecoder(config.box_weights),
        )
        self.mask_head = MaskHead(channels, config)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Finds instances.

        Args:
            image: uint8 [1, H, W, 3], RGB.

        Returns:
            Boxes float32 [N, 4] in pixels of `image`, scores float32 [N], labels int64 [N] and
            masks float32 [N, M, M].
        """
        content = (image.shape[1], image.shape[2])
        padded = self.pixels(image)
        levels = self.features(padded)
        logits, regressions = self.proposer(levels)
        proposals, objectness = self.proposals(
            logits, regressions, content, (padded.shape[-2], padded.shape[-1])
        )
        pooled, order = self.pooled(self.box_pool, levels, proposals)
        # Of equal scores, such as several of 1.0, the better proposal's goes first.
        classes, deltas = (restore(part, order) for part in self.box_head(pooled))
        probable = torch.sigmoid(classes) if self.config.sigmoid else torch.softmax(classes, -1)
        probabilities = probable[:, :-1]
        boxes, scores, labels = self.detections(
            torch.where(objectness.unsqueeze(1) > 0, probabilities, -1.0),
            deltas.reshape(deltas.shape[0], -1, 4),
            proposals,
            content,
        )
        # ONNX Runtime's int8 convolution crashes on an empty batch, so that one more region, the
        # best proposal, always goes through the mask head.
        regions = torch.cat([boxes, proposals[:1]])
        rows = torch.cat([labels, labels.new_zeros(1)])
        pooled, order = self.pooled(self.mask_pool, levels, regions)
        masks = restore(self.mask_head(pooled, rows.index_select(0, order)), order)
        return boxes, scores, labels, masks[:-1]

    def features(self, padded: Tensor) -> list[Tensor]:
        """The levels that proposals come from, float32 [1, C, Hl, Wl], finest first."""
        maps = self.body(padded)
        if self.pyramid is None:
            return [maps[-1]]
        levels: list[Tensor] = self.pyramid(maps)
        while len(levels) < len(self.config.strides):
            levels.append(nn.functional.max_pool2d(levels[-1], 1, stride=2))
        return levels

    def pooled(
        self, pool: LevelPool, levels: Sequence[Tensor], boxes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What a head sees of some boxes, float32 [R, C, P, P], and which box each row is of."""
        maps, order = pool(levels[: len(pool.scales)], boxes)
        return maps if self.head is None else self.head(maps), order


class _Proposer(nn.Module):
    """The proposal network's convolutions, shared by all levels (Faster R-CNN, section 3.1)."""

    def __init__(self, channels: int, config: RcnnConfig) -> None:
        super().__init__()
        anchors = len(config.anchor_sizes[0]) * len(config.ratios)
        self.convs = _convolutions(channels, config.hidden)
        last = config.hidden[-1]
        self.logits = nn.Conv2d(last, anchors, 1)
        self.deltas = nn.Conv2d(last, 4 * anchors, 1)

    def forward(self, levels: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Per level: logits [1, A, Hl, Wl] and deltas [1, 4A, Hl, Wl]."""
        hidden = [self.convs(level) for level in levels]
        return [self.logits(maps) for maps in hidden], [self.deltas(maps) for maps in hidden]


class BoxHead(nn.Module):
    """From pooled regions to class logits (background last) and box deltas."""

    def __init__(self, channels: int, config: RcnnConfig) -> None:
        """Builds the layers of one configuration; without `box_layers` regions are averaged."""
        super().__init__()
        self.convs = _convolutions(channels, config.box_convs)
        width = (config.box_convs or (channels,))[-1]
        inputs = width * config.box_pool**2
        self.layers = nn.ModuleList()
        for outputs in config.box_layers:
            self.layers.append(nn.Linear(inputs, outputs))
            width = inputs = outputs
        self.logits = nn.Linear(width, config.classes + 1)
        self.deltas = nn.Linear(width, 4 * config.box_classes)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """float32 [R, C, P, P] to logits [R, classes + 1] and deltas [R, 4 * box classes]."""
        maps = self.convs(pooled)
        values = maps.flatten(1) if len(self.layers) else maps.mean(dim=(2, 3))
        for layer in self.layers:
            values = torch.relu(layer(values))
        return self.logits(values), self.deltas(values)


class MaskHead(nn.Module):
    """Convolutions, a deconvolution, and the mask of the found class alone."""

    def __init__(self, channels: int, config: RcnnConfig) -> None:
        """Builds the layers of one configuration."""
        super().__init__()
        self.convs = _convolutions(channels, config.mask_convs)
        last = (config.mask_convs or (channels,))[-1]
        self.upsample = MaskUpsample(nn.ConvTranspose2d(last, config.mask_channels, 2, stride=2))
        self.predictor = nn.Conv2d(config.mask_channels, config.mask_classes, 1)

    def forward(self, pooled: Tensor, labels: Tensor) -> Tensor:
        """float32 [R, C, P, P] and int64 [R] to soft masks, float32 [R, 2P, 2P], 0..1."""
        grown = self.upsample(self.convs(pooled))
        rows = labels if self.predictor.out_channels > 1 else torch.zeros_like(labels)
        weight = self.predictor.weight.flatten(1)
        return class_masks(grown, weight, self.predictor.bias, rows, parts=4)


def _convolutions(inputs: int, channels: Sequence[int]) -> nn.Sequential:
    """3x3 convolutions, each with a ReLU behind it."""
    layers: list[nn.Module] = []
    for count in channels:
        layers += [nn.Conv2d(inputs, count, 3, padding=1), nn.ReLU()]
        inputs = count
    return nn.Sequential(*layers)
