"""A frame's objects, pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.compositing.masks import crest
from stream.compositing.squares import Rimmed, rimmed
from stream.kernels import Kernels
from stream.kernels.memory import address_of
from stream.roi import Window

Allocate = Callable[[int], NDArray[np.bool_] | None]
"""Gives memory for so many pixels; None where they are too many."""


@dataclass(frozen=True, slots=True)
class Pasted:
    """An object, pixel by pixel.

    Attributes:
        window: the part of the picture that it lies in, with the margin that the layers want; it
            starts on the grid of the chroma planes.
        inside: uint8 of the window's size, 1 where the object is, else 0; not to be written to.
        around: the same with the margin around it once more, where that is at hand.
        top: what `crest` is, where that is known.
        address: where in memory `inside` begins, if `around` holds it and that is known, else 0.
    """

    window: Window
    inside: NDArray[np.uint8]
    around: Rimmed | None = None
    top: tuple[float, float] | None = None
    address: int = 0

    def rimmed(self, rim: int) -> Rimmed:
        """The mask with at least so many pixels around it, at most the margin that layers want."""
        return rimmed(self.inside, rim) if self.around is None else self.around

    @property
    def crest(self) -> tuple[float, float]:
        """The point on top of it, x and y in pixels of the picture."""
        return self.top or crest(self.window, self.inside, self.around)


class Block:
    """All objects of a frame, pasted at once by the compiled loops.

    Args:
        kernels: those loops.
        masks: float32 [N, M, M], 0..1.
        boxes: float32 [N, 4], where they lie, in pixels of the picture; anything, also NaN.
        size: the picture's height and width in pixels.
        threshold: a soft mask above this is the object.
        grid: rows and columns on which windows start.
        margin: pixels to add around, and once more in `Pasted.around`.
        allocate: gives memory for so many pixels, or None where they are too many.

    Attributes:
        fits: whether there was memory for them; else nothing was pasted.
    """

    def __init__(
        self,
        kernels: Kernels,
        masks: NDArray[np.float32],
        boxes: NDArray[np.float32],
        size: tuple[int, int],
        threshold: float,
        grid: tuple[int, int],
        margin: int,
        allocate: Allocate,
    ) -> None:
        cells = (masks.shape[1], masks.shape[2])
        windows, pixels = kernels.windows(boxes, cells, size, threshold, grid, margin)
        memory = allocate(pixels)
        self.fits = memory is not None
        if memory is None:
            return
        self._flat = memory.view(np.uint8)
        self._address, self._margin = address_of(self._flat), margin
        tops = kernels.paste(masks, boxes, windows, threshold, self._flat, margin, size)
        self._windows, self._tops = windows.tolist(), tops.tolist()
        self._starts, around = [0], 2 * margin
        for top, bottom, left, right in self._windows:
            there = bottom > top and right > left
            area = (bottom - top + around) * (right - left + around) if there else 0
            self._starts.append(self._starts[-1] + area)

    def pasted(self, index: int) -> Pasted | None:
        """Where an object is; None where no pixel of the picture is its."""
        row, column = self._tops[index]
        if row < 0:
            return None
        top, bottom, left, right = self._windows[index]
        margin, start = self._margin, self._starts[index]
        height, width = bottom - top, right - left
        row_of = width + 2 * margin
        whole = self._flat[start : self._starts[index + 1]].reshape(height + 2 * margin, row_of)
        return Pasted(
            (top, bottom, left, right),
            whole[margin : margin + height, margin : margin + width],
            Rimmed(whole, margin, margin),
            (left + column + 0.5, float(top + row)),
            self._address + start + margin * row_of + margin,
        )
