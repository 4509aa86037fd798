"""The export form of YOLACT: a one-stage network whose masks are mixed from prototypes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from stream_export.blocks import Pixels
from stream_export.blocks.deformable import Deformable
from stream_export.blocks.prototypes import FastDetections, PrototypeMasks
from stream_export.blocks.resnet import ResNet

# data/config.py: means and deviations in RGB order, for pixels of 0..255.
_MEAN = (123.68, 116.78, 103.94)
_DEVIATION = (58.40, 57.12, 57.38)
_VARIANCES = (0.1, 0.2)

MASK_CELLS = 224
"""Cells along a mask's edge. With 138, as many as the prototypes of 550 pixels have, the worst of
445 masks of random networks kept an IoU of 0.955 with the original's when painted, with 224 0.979.
"""


@dataclass(frozen=True)
class YolactConfig:
    """What distinguishes one published model from another.

    Attributes:
        backbone: which.
        counts: blocks per stage.
        stem: channels of the stem.
        edge: of the square input, pixels.
        scales: of the anchors, per level, pixels.
        steps: what each scale is multiplied by, for several sizes of anchors per level.
        ratios: widths per height before the root.
        square: whether anchors are as high as they are wide (a kept bug of the original).
        channels: of the pyramid.
        classes: without background.
        prototypes: how many.
        score: detections must be better than this, 0..1.
        detections: at most this many.
        native: whether the graph resizes the picture itself, as the original does.
        deformable: per stage and bottleneck, how its 3x3 is deformed (YOLACT++); empty for none.
    """

    backbone: Literal["resnet", "darknet"] = "resnet"
    counts: tuple[int, ...] = (3, 4, 23, 3)
    stem: int = 64
    edge: int = 550
    scales: tuple[float, ...] = (24, 48, 96, 192, 384)
    steps: tuple[float, ...] = (1.0,)
    ratios: tuple[float, ...] = (1.0, 0.5, 2.0)
    square: bool = True
    channels: int = 256
    classes: int = 80
    prototypes: int = 32
    score: float = 0.05
    detections: int = 100
    native: bool = False
    deformable: tuple[tuple[Deformable | None, ...], ...] = ()

    @property
    def per_cell(self) -> int:
        """Anchors in every cell."""
        return len(self.steps) * len(self.ratios)


class YolactForm(nn.Module):
    """Speaks the contract's tensors and `frames`; a converter fills the layers."""

    def __init__(self, config: YolactConfig) -> None:
        """Builds the layers of one configuration, weights as torch initialises them."""
        super().__init__()
        self.config = config
        self.backbone: nn.Module
        if config.backbone == "resnet":
            self.pixels = Pixels(_MEAN, _DEVIATION, divisor=1.0)
            stem = config.stem
            self.backbone = ResNet(
                config.counts,
                width=stem,
                stem=stem,
                outputs=4 * stem,
                deformable=config.deformable,
            )
            inputs = [8 * stem, 16 * stem, 32 * stem]
        else:
            self.pixels = Pixels((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
            self.backbone = Darknet(config.counts, config.stem)
            inputs = [8 * config.stem, 16 * config.stem, 32 * config.stem]
        self.pyramid = _Pyramid(inputs, config.channels)
        self.prototypes = _Prototypes(config.channels, config.prototypes)
        self.head = _Head(config)
        self.detections = FastDetections(score=config.score, count=config.detections)
        self.masks = PrototypeMasks(MASK_CELLS)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Finds instances.

        Args:
            image: uint8 [1, H, W, 3], RGB.

        Returns:
            Boxes float32 [N, 4] in pixels of `image`, scores float32 [N], labels int64 [N], masks
            float32 [N, M, M] and their frames, float32 [N, 4] in pixels of `image`.
        """
        planes = self.planes(image)
        levels = self.pyramid(self.backbone(planes)[-3:])
        prototypes = self.prototypes(levels[0])
        deltas, logits, coefficients = self.head(levels)
        priors = self.priors([(level.shape[-2], level.shape[-1]) for level in levels])
        boxes = decode(deltas, priors.to(deltas.device))
        probabilities = torch.softmax(logits, dim=1)[:, 1:]
        prior, scores, labels = self.detections(probabilities, boxes)
        found = boxes.index_select(0, prior)
        masks, frames = self.masks(prototypes, coefficients.index_select(0, prior), found)
        height, width = image.shape[1], image.shape[2]
        edges = torch.stack(
            [torch.scalar_tensor(edge, dtype=torch.float32) for edge in (width, height) * 2]
        )
        return found.clamp(0, 1) * edges, scores, labels, masks, frames * edges

    def planes(self, image: Tensor) -> Tensor:
        """What the backbone sees, float32 [1, 3, edge, edge], of uint8 [1, H, W, 3]."""
        if not self.config.native:
            return self.pixels(image)  # type: ignore[no-any-return]
        # Resizing is linear and its weights add up to one, so normalising may come first.
        return functional.interpolate(
            self.pixels(image), (self.config.edge, self.config.edge), mode="bilinear"
        )

    def priors(self, grids: Sequence[tuple[int, int]]) -> Tensor:
        """The anchors of all levels as parts of the input: centre x, y, width, height; [P, 4]."""
        config = self.config
        rows: list[tuple[float, float, float, float]] = []
        for (height, width), scale in zip(grids, config.scales, strict=True):
            for row in range(height):
                for column in range(width):
                    for step, ratio in itertools.product(config.steps, config.ratios):
                        size = scale * step / config.edge
                        wide = size * math.sqrt(ratio)
                        high = wide if config.square else size / math.sqrt(ratio)
                        rows.append(((column + 0.5) / width, (row + 0.5) / height, wide, high))
        return torch.tensor(rows, dtype=torch.float32)


def decode(deltas: Tensor, priors: Tensor) -> Tensor:
    """Boxes x1, y1, x2, y2 from deltas and priors (centre form), float32 [P, 4] each (SSD)."""
    centre = priors[:, :2] + deltas[:, :2] * _VARIANCES[0] * priors[:, 2:]
    size = priors[:, 2:] * torch.exp(deltas[:, 2:] * _VARIANCES[1])
    low = centre - size / 2
    return torch.cat((low, low + size), dim=1)


class Darknet(nn.Module):
    """Darknet-53 (YOLOv3, table 1), with batch normalisation folded in."""

    def __init__(self, counts: Sequence[int], stem: int = 32) -> None:
        """Builds stages of a strided convolution and `counts` residual blocks each."""
        super().__init__()
        self.stem = nn.Conv2d(3, stem, 3, padding=1)
        self.stages = nn.ModuleList(
            nn.ModuleList(
                [
                    nn.Conv2d(stem * 2**number, 2 * stem * 2**number, 3, stride=2, padding=1),
                    *(_DarknetBlock(2 * stem * 2**number) for _ in range(count)),
                ]
            )
            for number, count in enumerate(counts)
        )

    def forward(self, planes: Tensor) -> list[Tensor]:
        """float32 [1, 3, H, W] to each stage's map, strides 2 to 32."""
        maps = _leaky(self.stem(planes))
        found = []
        for stage in self.stages:
            assert isinstance(stage, nn.ModuleList)
            maps = _leaky(stage[0](maps))
            for block in stage[1:]:
                maps = block(maps)
            found.append(maps)
        return found


class _DarknetBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels // 2, 1)
        self.conv2 = nn.Conv2d(channels // 2, channels, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        return maps + _leaky(self.conv2(_leaky(self.conv1(maps))))


def _leaky(maps: Tensor) -> Tensor:
    return functional.leaky_relu(maps, 0.1)


class _Pyramid(nn.Module):
    """A feature pyramid with bilinear upsampling, and two coarser levels by strided 3x3."""

    def __init__(self, inputs: Sequence[int], channels: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(count, channels, 1) for count in inputs)
        self.outputs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in inputs)
        self.coarser = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, stride=2, padding=1) for _ in range(2)
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        inner = self.laterals[-1](maps[-1])
        levels = [torch.relu(self.outputs[-1](inner))]
        for number in range(len(maps) - 2, -1, -1):
            size = (maps[number].shape[-2], maps[number].shape[-1])
            grown = functional.interpolate(inner, size, mode="bilinear")
            inner = grown + self.laterals[number](maps[number])
            levels.insert(0, torch.relu(self.outputs[number](inner)))
        for layer in self.coarser:
            levels.append(layer(levels[-1]))
        return levels


class _Prototypes(nn.Module):
    """From the finest level to prototypes at twice its size, float32 [1, K, P, P], 0 or more."""

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.before = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(3))
        self.after = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, count, 1)

    def forward(self, maps: Tensor) -> Tensor:
        for layer in self.before:
            maps = torch.relu(layer(maps))
        size = (2 * maps.shape[-2], 2 * maps.shape[-1])
        maps = functional.interpolate(maps, size, mode="bilinear")
        return torch.relu(self.last(torch.relu(self.after(maps))))


class _Head(nn.Module):
    """The prediction head, shared by all levels."""

    def __init__(self, config: YolactConfig) -> None:
        super().__init__()
        channels, anchors = config.channels, config.per_cell
        self.shared = nn.Conv2d(channels, channels, 3, padding=1)
        self.boxes = nn.Conv2d(channels, 4 * anchors, 3, padding=1)
        self.classes = nn.Conv2d(channels, (config.classes + 1) * anchors, 3, padding=1)
        self.coefficients = nn.Conv2d(channels, config.prototypes * anchors, 3, padding=1)
        self.anchors = anchors

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Deltas [P, 4], logits [P, classes + 1] and coefficients [P, K] of all priors."""
        found: list[list[Tensor]] = [[], [], []]
        for level in levels:
            maps = torch.relu(self.shared(level))
            for place, layer in zip(
                found, (self.boxes, self.classes, self.coefficients), strict=True
            ):
                values = layer(maps)[0].permute(1, 2, 0)
                place.append(values.reshape(-1, values.shape[-1] // self.anchors))
        deltas, logits, coefficients = (torch.cat(place) for place in found)
        return deltas, logits, torch.tanh(coefficients)
