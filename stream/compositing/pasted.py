"""A frame's objects, pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.compositing.mask_memory import Memory
from stream.compositing.masks import crest
from stream.compositing.specks import PART
from stream.compositing.squares import Rimmed, rimmed
from stream.kernels import Kernels
from stream.kernels.memory import address_of
from stream.roi import Window

Place = tuple[int, int, Window]
"""Where in memory a mask's first pixel is, how many bytes its rows lie apart, and its window."""


@dataclass(frozen=True, slots=True)
class Pasted:
    """An object, pixel by pixel.

    Attributes:
        window: the part of the picture that it lies in, with the margin that the layers want; it
            starts on the grid of the chroma planes.
        inside: uint8 of the window's size, 1 where the object is, else 0; not to be written to.
        around: the same with the margin around it once more, where that is at hand.
        top: what `crest` is, where that is known.
    """

    window: Window
    inside: NDArray[np.uint8]
    around: Rimmed | None = None
    top: tuple[float, float] | None = None

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
        memory: for their pixels.
        alone: whether they have the memory that the next mask gets too, where it is not enough for
            all; else they are not pasted then.

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
        memory: Memory,
        *,
        alone: bool = False,
    ) -> None:
        asked = masks, boxes, size, threshold, grid, margin, PART
        flat = memory.rest
        self._rows, pixels = kernels.objects(*asked, flat)
        taken = memory.take(pixels) if alone else memory.take_within(pixels)
        self.fits = taken is not None
        if taken is not None and (pixels > len(flat) or not memory.kept):
            flat = taken.view(np.uint8)
            self._rows, _ = kernels.objects(*asked, flat)
        self._flat, self._address, self._margin = flat, address_of(flat), margin

    def whole(self, index: int) -> bool:
        """Whether an object's mask is in one piece, but for large ones, and without small holes."""
        return not self._rows[index][7]

    def place(self, index: int) -> Place | None:
        """Where an object's first pixel is; None where no pixel of the picture is its."""
        top, bottom, left, right, row, _, start, _ = self._rows[index]
        if row < 0:
            return None
        return self._address + start, right - left + 2 * self._margin, (top, bottom, left, right)

    def crest(self, index: int) -> tuple[float, float] | None:
        """The point on top of an object, x and y in pixels of the picture; None likewise."""
        top, _, left, _, row, column, _, _ = self._rows[index]
        return None if row < 0 else (left + column + 0.5, float(top + row))

    def pasted(self, index: int) -> Pasted | None:
        """An object; None where no pixel of the picture is its."""
        place = self.place(index)
        if place is None:
            return None
        address, stride, window = place
        margin, height, width = self._margin, window[1] - window[0], window[3] - window[2]
        first = address - self._address - margin * (stride + 1)
        lines = height + 2 * margin
        whole = self._flat[first : first + lines * stride].reshape(lines, stride)
        return Pasted(
            window,
            whole[margin : margin + height, margin : margin + width],
            Rimmed(whole, margin, margin),
            self.crest(index),
        )
