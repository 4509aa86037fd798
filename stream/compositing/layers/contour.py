"""A line around each object."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.compositing.tint import Tint

_OPACITY = 0.95


class Contour(Tint):
    """An anti-aliased line along each object's edge; not around specks and pinholes."""

    tidy: ClassVar[bool] = True

    def cover(self, distance: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
        """A line with the edge in its middle."""
        width = line_width(size, self.style.contour_width)
        line = np.clip(width / 2 + 0.5 - np.abs(distance), 0, 1) * _OPACITY
        return line if width else np.zeros_like(distance)

    def reach(self, size: tuple[int, int]) -> float:
        """Half the line and the pixel over which it fades."""
        return line_width(size, self.style.contour_width) / 2 + 0.5


def line_width(size: tuple[int, int], asked: float | None) -> float:
    """The width of lines in pixels: what was asked for, else two at 720p, in proportion."""
    return min(12.0, max(1.5, min(size) / 360)) if asked is None else asked
