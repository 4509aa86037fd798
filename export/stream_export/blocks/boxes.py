"""Anchors and box arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

CLAMP = math.log(1000.0 / 16)
"""Largest log-scale that decoding accepts, as Detectron sets it."""


def clip(boxes: Tensor, height: int, width: int) -> Tensor:
    """Boxes, float32 [..., 4] (x1, y1, x2, y2), cut off at a picture's edges (pixels)."""
    x = boxes[..., 0::2].clamp(min=0, max=width)
    y = boxes[..., 1::2].clamp(min=0, max=height)
    return torch.stack((x[..., 0], y[..., 0], x[..., 1], y[..., 1]), dim=-1)


def large_enough(boxes: Tensor, minimum: float) -> Tensor:
    """Bool [...]: whether boxes, float32 [..., 4], are at least `minimum` pixels wide and high."""
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    return (width >= minimum) & (height >= minimum)


class BoxDecoder(nn.Module):
    """Boxes from reference boxes and a network's deltas (R-CNN, appendix C; Fast R-CNN weights).

    centre = reference centre + (dx, dy) / weight * reference size;
    size = reference size * exp((dw, dh) / weight), the exponent clamped.
    """

    def __init__(
        self,
        weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
        clamp: float = CLAMP,
    ) -> None:
        """Sets the divisors of dx, dy, dw, dh, and the largest exponent."""
        super().__init__()
        self.weights = weights
        self.clamp = clamp

    def forward(self, deltas: Tensor, reference: Tensor) -> Tensor:
        """Decodes.

        Args:
            deltas: float32 [..., 4]: dx, dy, dw, dh.
            reference: float32 [..., 4]: x1, y1, x2, y2 in pixels.

        Returns:
            float32 [..., 4]: x1, y1, x2, y2 in pixels.
        """
        dx, dy, dw, dh = (
            deltas[..., part] if weight == 1 else deltas[..., part] / weight
            for part, weight in enumerate(self.weights)
        )
        widths = reference[..., 2] - reference[..., 0]
        heights = reference[..., 3] - reference[..., 1]
        centre_x = dx * widths + (reference[..., 0] + 0.5 * widths)
        centre_y = dy * heights + (reference[..., 1] + 0.5 * heights)
        half_width = 0.5 * (torch.exp(dw.clamp(max=self.clamp)) * widths)
        half_height = 0.5 * (torch.exp(dh.clamp(max=self.clamp)) * heights)
        return torch.stack(
            (
                centre_x - half_width,
                centre_y - half_height,
                centre_x + half_width,
                centre_y + half_height,
            ),
            dim=-1,
        )


def cell_anchors(
    sizes: Sequence[float], ratios: Sequence[float], *, rounded: bool = True
) -> Tensor:
    """The anchors of one cell about its origin, ratios slow and sizes fast, float32 [A, 4].

    Args:
        sizes: square roots of the anchors' areas in input pixels.
        ratios: heights per width.
        rounded: whether corners are rounded to whole pixels, as torchvision does.
    """
    corners = []
    for ratio in ratios:
        for size in sizes:
            width, height = size / math.sqrt(ratio), size * math.sqrt(ratio)
            corners.append([-width / 2, -height / 2, width / 2, height / 2])
    anchors = torch.tensor(corners, dtype=torch.float32)
    return anchors.round() if rounded else anchors


class AnchorGrid(nn.Module):
    """The anchors of one level, computed only where they are wanted.

    Candidates are few and anchors are many: the position of an anchor follows from its index, so
    no table of them all is made and the map's size may be anything.
    """

    cells: Tensor

    def __init__(
        self, cells: Tensor, stride: int | None = None, offset: tuple[float, float] = (0.0, 0.0)
    ) -> None:
        """Sets up a level.

        Args:
            cells: float32 [A, 4], the anchors of the first cell about its origin.
            stride: pixels between cells; None takes input size // map size, as torchvision does.
            offset: x, y of the first cell's origin in pixels.
        """
        super().__init__()
        self.register_buffer("cells", cells, persistent=False)
        self.stride = stride
        self.offset = offset

    def forward(self, index: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
        """The anchors at some indices.

        Args:
            index: int64 [K] into (row, column, anchor) in that order.
            grid: height and width of the map in cells.
            size: height and width of the input in pixels.

        Returns:
            float32 [K, 4]: x1, y1, x2, y2 in pixels.
        """
        count = self.cells.shape[0]
        cell = torch.ops.stream.quotient(index, count)
        row = torch.ops.stream.quotient(cell, grid[1])
        column = cell - row * grid[1]
        stride_y = self.stride if self.stride is not None else size[0] // grid[0]
        stride_x = self.stride if self.stride is not None else size[1] // grid[1]
        x = (column * stride_x).to(torch.float32) + self.offset[0]
        y = (row * stride_y).to(torch.float32) + self.offset[1]
        shift = torch.stack((x, y, x, y), dim=1)
        return shift + self.cells.index_select(0, index - cell * count)
