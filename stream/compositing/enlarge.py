"""Masks at the pixels of a window, quickly: to a fraction of a pixel instead of exactly."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.roi import Window

LEAST, MOST = 2.0, 64.0
"""Pixels a cell between which masks are enlarged: moving smaller ones to the grid blurs them, and
of larger ones too much would lie outside a window, as only whole cells are enlarged."""
WHOLE: Any = (1 << 16) - 1
"""What stands for 1."""
_BEND = np.array([[1, -2, 1]], np.float32)


def enlargeable(mask: NDArray[np.float32], box: NDArray[np.float32]) -> bool:
    """Whether a mask's cells are of such a size; False where the box is not finite."""
    x1, y1, x2, y2 = box.tolist()
    rows, columns = mask.shape
    fits: bool = LEAST * columns <= x2 - x1 <= MOST * columns and (
        LEAST * rows <= y2 - y1 <= MOST * rows
    )
    return fits


def enlarged(
    mask: NDArray[np.float32], box: NDArray[np.float32], window: Window
) -> NDArray[np.uint16]:
    """Nearly `roi.sample_mask`, at less than half its cost.

    OpenCV enlarges several times as fast as it samples, but knows no fractions of an offset. So
    that the cells lie on its grid the mask is moved first, by less than half a pixel.

    Args:
        mask: float32 [M, M], 0..1.
        box: float32 [4], `enlargeable`.
        window: of the picture.

    Returns:
        uint16 of the window's size, `WHOLE` for 1.
    """
    x1, y1, x2, y2 = box.tolist()
    top, bottom, left, right = window
    down, across = (y2 - y1) / mask.shape[0], (x2 - x1) / mask.shape[1]
    above, first_row, rows = _cells(top, bottom, y1, down)
    beside, first_column, columns = _cells(left, right, x1, across)
    place = np.array([[1, 0, first_column], [0, 1, first_row]])
    moved = cv2.warpAffine(
        mask, place, (columns, rows), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    # Of two bytes it is read and written in half the time.
    coarse = cv2.multiply(moved, WHOLE, dtype=cv2.CV_16U)
    soft = cv2.resize(coarse, None, fx=across, fy=down, interpolation=cv2.INTER_LINEAR)
    part = soft[above : above + bottom - top, beside : beside + right - left]
    return np.asarray(part, np.uint16)


def moved_by(mask: NDArray[np.float32], box: NDArray[np.float32], window: Window) -> float:
    """By how much of the mask's `bend` a value of `enlarged` may be off."""
    x1, y1, x2, y2 = box.tolist()
    top, bottom, left, right = window
    off = 0.0
    for start, stop, low, side in (
        (top, bottom, y1, (y2 - y1) / mask.shape[0]),
        (left, right, x1, (x2 - x1) / mask.shape[1]),
    ):
        _, first, _ = _cells(start, stop, low, side)
        part = abs(first - round(first))
        off += part * (1 - part)
    return off


def bend(mask: NDArray[np.float32]) -> float:
    """The largest second difference along rows and columns, with zeros around the mask."""
    most = 0.0
    for kernel in (_BEND, _BEND.T):
        low, high, *_ = cv2.minMaxLoc(
            cv2.filter2D(mask, -1, kernel, borderType=cv2.BORDER_CONSTANT)
        )
        most = max(most, high, -low)
    return most


def _cells(start: int, stop: int, low: float, side: float) -> tuple[int, float, int]:
    """Which cells of a mask are enlarged for pixels along an axis.

    Args:
        start: the first pixel.
        stop: the one after the last.
        low: where the mask begins.
        side: of a cell in pixels.

    Returns:
        How many pixels the first cell lies before the first pixel; its place in the mask, nearly a
        whole number; how many cells there are.
    """
    place = (start - low) / side
    before = round((place - math.floor(place)) * side)
    return before, place - before / side, math.ceil((stop - start + before) / side) + 1
