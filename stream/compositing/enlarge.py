"""Masks at the pixels of a window, quickly: to a fraction of a pixel instead of exactly."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.squares import Scratch, wide
from stream.roi import Window
from stream.types import Array

LEAST, MOST = 2.0, 64.0
"""Pixels a cell between which masks are enlarged: moving smaller ones to the grid blurs them, and
of larger ones too much would lie outside a window, as only whole cells are enlarged."""
WHOLE: Any = (1 << 16) - 1
"""What stands for 1."""
_BACK = 8
"""Of so many cells before a window the one is enlarged first that begins nearly with a pixel."""
_NEAR = 0.004
"""Of a cell's side: what is so near is taken, as each cell more is enlarged for nothing."""
_BEND = np.array([[1, -2, 1]], np.float32)


class Span(NamedTuple):
    """Which cells of a mask are enlarged along an axis.

    Attributes:
        first: the first one's place in the mask, nearly a whole number.
        cells: how many.
        side: of a cell in pixels.
        before: how many pixels it begins before the first that is wanted.
        pixels: how many are wanted.
    """

    first: float
    cells: int
    side: float
    before: int
    pixels: int

    @property
    def off(self) -> float:
        """By how much of the mask's `bend` along the axis a value of `enlarged` may be off."""
        part = abs(self.first - round(self.first))
        return part * (1 - part)


def spans(
    mask: NDArray[np.float32], box: NDArray[np.float32], window: Window, *, near: bool
) -> tuple[Span, Span] | None:
    """Which rows and columns of a mask are enlarged for a window of the picture.

    Args:
        mask: float32 [M, M].
        box: float32 [4], where it lies, in pixels of the picture; anything, also NaN.
        window: of the picture.
        near: whether cells are looked for that nearly begin with a pixel, so that values are
            hardly off; else by up to half a pixel.

    Returns:
        None where the mask's cells are too small or too large for it.
    """
    x1, y1, x2, y2 = box.tolist()
    rows, columns = mask.shape
    if not (
        LEAST * columns <= x2 - x1 <= MOST * columns and LEAST * rows <= y2 - y1 <= MOST * rows
    ):
        return None
    back = _BACK if near else 1
    return (
        _span(window[0], window[1], y1, (y2 - y1) / rows, back),
        _span(window[2], window[3], x1, (x2 - x1) / columns, back),
    )


def enlarged(mask: NDArray[np.float32], spans: tuple[Span, Span]) -> NDArray[np.uint16]:
    """Nearly `roi.sample_mask`, at less than half its cost.

    OpenCV enlarges several times as fast as it samples, but knows no fractions of an offset. So
    that the cells lie on its grid the mask is moved first, by less than half a pixel.

    Args:
        mask: float32 [M, M], 0..1.
        spans: of the window.

    Returns:
        uint16 of the window's size, `WHOLE` for 1.
    """
    rows, columns = (slice(span.before, span.before + span.pixels) for span in spans)
    return enlarged_whole(mask, spans)[rows, columns]


def enlarged_whole(
    mask: NDArray[np.float32], spans: tuple[Span, Span], scratch: Scratch | None = None
) -> NDArray[np.uint16]:
    """`enlarged` with all the pixels of the spans' cells, in one piece of memory.

    Args:
        mask: float32 [M, M], 0..1.
        spans: of a window.
        scratch: gives memory under the name `work`.
    """
    down, across = spans
    # With a rim of zeros; many times as fast as warpAffine.
    rim = 2 - math.floor(min(0, down.first, across.first))
    rimmed = cv2.copyMakeBorder(mask, rim, rim, rim, rim, cv2.BORDER_CONSTANT)
    middle = (
        across.first + rim + (across.cells - 1) / 2,
        down.first + rim + (down.cells - 1) / 2,
    )
    moved = cv2.getRectSubPix(rimmed, (across.cells, down.cells), middle)
    # Of two bytes it is read and written in half the time.
    coarse = cv2.multiply(moved, WHOLE, dtype=cv2.CV_16U)
    memory: Array | None = None
    if scratch is not None:  # Where it is of another size, it is not taken.
        memory = wide(scratch, (round(down.cells * down.side), round(across.cells * across.side)))
    soft = cv2.resize(coarse, None, memory, across.side, down.side, cv2.INTER_LINEAR)
    return np.asarray(soft, np.uint16)


def bend(mask: NDArray[np.float32]) -> float:
    """The largest second difference along rows and columns, with zeros around the mask."""
    most = 0.0
    for kernel in (_BEND, _BEND.T):
        low, high, *_ = cv2.minMaxLoc(
            cv2.filter2D(mask, -1, kernel, borderType=cv2.BORDER_CONSTANT)
        )
        most = max(most, high, -low)
    return most


def _span(start: int, stop: int, low: float, side: float, back: int) -> Span:
    """The cells that are enlarged for pixels from one to another, of a mask that begins at `low`.

    Pixels up to the middle of the first lie between it and the one before, so that within a mask
    it begins half a cell before them at least.
    """
    last = math.floor((start - low) / side - (0.5 if start > low else 0))
    begin, off = 0, math.inf
    for cell in range(last, last - back, -1):
        edge = low + cell * side
        whole = round(edge)
        if abs(edge - whole) < off:
            begin, off = whole, abs(edge - whole)
            if off <= _NEAR * side:
                break
    cells = math.ceil((stop - begin) / side) + 1
    return Span((begin - low) / side, cells, side, start - begin, stop - start)
