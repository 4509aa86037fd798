"""FCOS (Tian et al., 2019): boxes as distances from every cell, without anchors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class FcosHead(nn.Module):
    """The convolutions that all levels share, with a scale of each level's own."""

    def __init__(self, channels: int, classes: int, depth: int, levels: int, groups: int) -> None:
        """Sets up.

        Args:
            channels: of the pyramid's levels.
            classes: without background; there is none.
            depth: convolutions in each of the two towers.
            levels: of the pyramid.
            groups: of the group normalisations.
        """
        super().__init__()
        self.class_tower = _tower(channels, depth, groups)
        self.box_tower = _tower(channels, depth, groups)
        self.class_logits = nn.Conv2d(channels, classes, 3, padding=1)
        self.distances = nn.Conv2d(channels, 4, 3, padding=1)
        self.centres = nn.Conv2d(channels, 1, 3, padding=1)
        self.scales = nn.Parameter(torch.ones(levels))

    def forward(self, levels: Sequence[Tensor]) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Runs over all levels.

        Returns:
            Per level: class logits [1, C, H, W], distances in strides [1, 4, H, W], 0 or more, and
            centerness logits [1, 1, H, W].
        """
        found = []
        for number, level in enumerate(levels):
            boxes = self.box_tower(level)
            distances = torch.relu(self.distances(boxes) * self.scales[number])
            found.append(
                (self.class_logits(self.class_tower(level)), distances, self.centres(boxes))
            )
        return found


def _tower(channels: int, depth: int, groups: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(groups, channels),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


class FcosDetections(nn.Module):
    """The best (cell, class) pairs of each level, suppressed per class.

    A pair's score is the root of its class probability times its cell's centerness; the threshold
    is on the class probability alone. Boxes are not clipped.
    """

    def __init__(
        self, strides: Sequence[int], *, score: float, iou: float, before: int, count: int
    ) -> None:
        """Sets up.

        Args:
            strides: input pixels per cell, per level.
            score: a pair's class probability must be above this, 0..1.
            iou: suppression threshold, 0..1.
            before: pairs per level that enter suppression.
            count: at most this many detections.
        """
        super().__init__()
        self.strides = tuple(strides)
        self.score = score
        self.iou = iou
        self.before = before
        self.count = count

    def forward(
        self, levels: Sequence[tuple[Tensor, Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Detects.

        Args:
            levels: what `FcosHead` gives.

        Returns:
            Boxes float32 [N, 4] in input pixels, scores float32 [N] (descending), labels int64
            [N], and the best candidate's box, float32 [1, 4], whether detected or not.
        """
        found = [
            self._level(*level, stride) for level, stride in zip(levels, self.strides, strict=True)
        ]
        scores, labels, boxes = (torch.cat(parts) for parts in zip(*found, strict=True))
        classes = levels[0][0].shape[1]
        shifted = boxes + _apart(boxes, labels, scores > 0, classes)
        kept = torch.ops.stream.suppress(shifted[None], scores[None], self.iou, self.count)[0]
        best, index = torch.topk(kept, min(self.count, self.before * len(levels)))
        first = boxes.index_select(0, index[:1])
        index = index.index_select(0, torch.ops.stream.candidates(best))
        return boxes.index_select(0, index), scores[index].sqrt(), labels[index], first

    def _level(
        self, logits: Tensor, distances: Tensor, centres: Tensor, stride: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A level's best: products of probabilities [K], labels [K], boxes [K, 4]."""
        classes, height, width = logits.shape[1:]
        plane = height * width
        probabilities = torch.sigmoid(logits[0]).flatten(1)
        products = probabilities * torch.sigmoid(centres[0]).flatten(1)
        flat = torch.where(probabilities > self.score, products, -1.0).flatten()
        total = classes * plane
        # A small map has fewer pairs than are asked for, and how many may not be known yet.
        if not isinstance(total, int) or total < self.before:
            flat = nn.functional.pad(flat, (0, self.before), value=-1.0)
        best, index = torch.topk(flat, self.before)
        index = index.clamp(max=total - 1)
        label = torch.div(index, plane, rounding_mode="trunc")
        cell = index - label * plane
        row = torch.div(cell, width, rounding_mode="trunc")
        column = cell - row * width
        x = (column * stride + stride // 2).to(torch.float32)
        y = (row * stride + stride // 2).to(torch.float32)
        left, top, right, bottom = (
            distances[0].flatten(1).index_select(1, cell) * float(stride)
        ).unbind(0)
        return best, label, torch.stack((x - left, y - top, x + right, y + bottom), dim=1)


def _apart(boxes: Tensor, labels: Tensor, valid: Tensor, classes: int) -> Tensor:
    """Shifts, float32 [N, 4], that keep boxes of different classes from touching.

    Unlike those of `class_offsets`, the boxes may lie anywhere; classes are laid out on a square of
    tiles as large as the span of those that count.
    """
    counted = torch.where(valid.unsqueeze(1), boxes, 0.0)
    span = counted.max() - counted.min() + 1
    side = math.isqrt(max(classes - 1, 0)) + 1
    row = torch.div(labels, side, rounding_mode="trunc")
    x, y = (labels - row * side).to(torch.float32), row.to(torch.float32)
    return torch.stack((x, y, x, y), dim=1) * span
