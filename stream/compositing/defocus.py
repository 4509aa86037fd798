"""Spreading what is behind objects over discs, in planes that are made small without them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.canvas import Canvas
from stream.compositing.mattes import Matte, apart, on_grid
from stream.compositing.planes import Planes, Samples, shrink_to, window_of
from stream.kernels import Kernels, compiled
from stream.kernels.blur import MOST_HALVINGS, MOST_REACH
from stream.pictures.pixels import reduce_to
from stream.roi import Window
from stream.types import Array

Whole = Callable[[], Samples]
"""Gives a plane with all that is in it."""

_NOTHING: Any = 1e-3
_LITTLE = 31
"""Of 255: what has no more of what is behind is not asked for its colour, of which in eight bits
too little is left."""
_SOME: Any = 5
"""Of 255, as how much the least counts of which luma is asked."""


def cutting(
    canvas: Canvas, matte: Matte, shrink: int, middle: tuple[int, int], *, coarser: bool
) -> Cutter | FastCutter:
    """What makes the planes of a frame small, without its objects.

    Args:
        canvas: the frame.
        matte: its objects.
        shrink: how many times smaller luma becomes each way, a power of 2.
        middle: rows and columns of luma per sample at which objects are cut out.
        coarser: whether other planes have half as many samples each way.
    """
    kernels = compiled()
    if kernels is not None and canvas.planes.narrow and _halves(canvas.planes, shrink, coarser):
        return FastCutter(kernels, canvas, matte)
    return Cutter(canvas, matte, middle)


class Cutter:
    """Makes planes small, without the objects.

    Args:
        canvas: the frame.
        matte: its objects.
        middle: rows and columns of luma per sample at which they are cut out.
    """

    def __init__(self, canvas: Canvas, matte: Matte, middle: tuple[int, int]) -> None:
        self._middle = middle
        self._clear, self._windows = _clear(canvas, matte, middle)

    def cut(
        self, samples: Samples, step: tuple[int, int], size: tuple[int, int]
    ) -> tuple[Samples, Whole]:
        """A plane of so many columns and rows, zero where objects are, and what gives it whole."""
        whole = _fewer(samples, step, self._middle, self._clear.shape)
        small = shrink_to(_alone(whole, self._clear, self._windows), size)
        return small, lambda: shrink_to(whole, size)

    def clear(self, size: tuple[int, int]) -> Samples:
        """How far each sample of so many columns and rows is behind all objects."""
        return shrink_to(self._clear, size)


class FastCutter:
    """The same by the compiled loops, of eight bits, at half the size, where all is halving.

    Args:
        kernels: those loops.
        canvas: the frame.
        matte: its objects.
    """

    def __init__(self, kernels: Kernels, canvas: Canvas, matte: Matte) -> None:
        self._kernels, self._clear = kernels, _all_clear(canvas, (2, 2))
        if matte.window is not None:
            place = on_grid(matte.window, canvas.size, (2, 2))
            _clear_of(self._clear, matte, place, (2, 2))
        self._smallest = self._clear

    def cut(
        self, samples: Samples, step: tuple[int, int], size: tuple[int, int]
    ) -> tuple[Samples, Whole]:
        """A plane of so many columns and rows, zero where objects are, and what gives it whole."""
        del step
        own, halvings = np.asarray(samples, np.uint8), _halvings(self._clear, size)
        whole, small = self._kernels.cut(own, self._clear, halvings)
        return small, lambda: whole

    def clear(self, size: tuple[int, int]) -> Samples:
        """How far each sample of so many columns and rows is behind all objects.

        Args:
            size: not larger than any that was asked for before.
        """
        more = _halvings(self._smallest, size)
        if more:
            self._smallest = self._kernels.halved(self._smallest, more)
        return self._smallest


def _halvings(samples: Samples, size: tuple[int, int]) -> int:
    """How often a plane is halved to have so many columns and rows."""
    times: int = samples.shape[1] // size[0]
    return times.bit_length() - 1


class Spread:
    """Spreads each sample of a small plane over a disc.

    Args:
        given: how much each gives to those around it, float32 [h, w].
        given_to: how far each is behind, uint8.
        radius: of the disc in samples.
    """

    def __init__(self, given: NDArray[np.float32], given_to: Samples, radius: float) -> None:
        self.given, self._disc = given, _disc(radius)
        share: Array = cv2.multiply(given, given_to, scale=1 / 255, dtype=cv2.CV_32F)
        around = self._around(share)
        # Deep in an object; and in a gap of it, such as an arm's bend, that has nothing around it.
        self._lost = around <= np.float32(_NOTHING)
        self._some = bool(self._lost.any())
        self._total: Array = cv2.max(around, _NOTHING) if self._some else around

    def _around(self, plane: Array) -> Array:
        return cv2.filter2D(plane, -1, self._disc, borderType=cv2.BORDER_REFLECT_101)

    def __call__(self, plane: Samples, whole: Whole) -> Array:
        """A plane out of focus.

        Args:
            plane: where objects are, zero; uint8 or uint16 of the small size.
            whole: gives what is there, of that size: seen where nothing behind is near.
        """
        weighted: Array = cv2.multiply(plane, self.given, dtype=cv2.CV_32F)
        depth = cv2.CV_8U if plane.dtype == np.uint8 else cv2.CV_16U
        blurred: Array = cv2.divide(self._around(weighted), self._total, dtype=depth)
        if self._some:
            np.copyto(blurred, whole(), where=self._lost)
        return blurred


class FastSpread:
    """The same by the compiled loops, of eight bits.

    Args:
        kernels: those loops.
        given: how much each gives to those around it, float32 [h, w].
        given_to: how far each is behind, uint8.
        radius: of the disc in samples.
    """

    def __init__(
        self, kernels: Kernels, given: NDArray[np.float32], given_to: Samples, radius: float
    ) -> None:
        self._kernels, self.given = kernels, given
        disc = _disc(radius)
        middle = len(disc) // 2
        self._quarter = np.ascontiguousarray(disc[middle:, middle:])
        behind = np.asarray(given_to, np.uint8)
        self._total, self._lost = kernels.disc_total(given, behind, self._quarter, _NOTHING)

    def __call__(self, plane: Samples, whole: Whole) -> Array:
        """A plane out of focus."""
        own = np.asarray(plane, np.uint8)
        blurred = self._kernels.disc_mean(own, self.given, self._quarter, self._total)
        if self._lost is not None:
            np.copyto(blurred, whole(), where=self._lost)
        return blurred


def spreading(
    given: NDArray[np.float32], given_to: Samples, radius: float, *, narrow: bool
) -> Spread | FastSpread:
    """What spreads each sample of a small plane over a disc.

    Args:
        given: how much each gives to those around it, float32 [h, w].
        given_to: how far each is behind, uint8.
        radius: of the disc in samples.
        narrow: whether planes are of eight bits.
    """
    kernels = compiled()
    if kernels is not None and narrow and math.ceil(radius) <= MOST_REACH:
        return FastSpread(kernels, given, given_to, radius)
    return Spread(given, given_to, radius)


def given_by(
    small: Samples, given_to: Samples, weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How much each sample gives to those around it, by its luma as far as it is behind.

    Args:
        small: luma, zero where objects are, uint8 or uint16 [h, w].
        given_to: how far each is behind, uint8.
        weights: float32 [codes], how much each code of luma gives.

    Returns:
        float32 [h, w].
    """
    kernels = compiled()
    if kernels is not None and small.dtype == np.uint8:
        luma, behind = np.asarray(small, np.uint8), np.asarray(given_to, np.uint8)
        return kernels.given(luma, behind, _SOME, weights)
    some: Array = cv2.max(given_to, _SOME).astype(small.dtype, copy=False)
    return _looked_up(cv2.divide(small, some, scale=255), weights)


def _looked_up(luma: Array, weights: NDArray[np.float32]) -> NDArray[np.float32]:
    if luma.dtype == np.uint8:
        return np.asarray(cv2.LUT(luma, weights), np.float32)
    return weights.take(luma, mode="clip")


def _clear(
    canvas: Canvas, matte: Matte, middle: tuple[int, int]
) -> tuple[NDArray[np.uint8], list[Window]]:
    """How far each sample of a plane is behind, and zero where any object is.

    Args:
        canvas: the frame.
        matte: its objects.
        middle: rows and columns of luma per sample of the plane.

    Returns:
        uint8 [H, W], and where in it anything is not 255.
    """
    clear = _all_clear(canvas, middle)
    windows: list[Window] = []
    for place in apart(on_grid(one, canvas.size, middle) for one in matte.parts):
        windows.append(_clear_of(clear, matte, place, middle))
    if canvas.alpha is not None:
        windows = [(0, clear.shape[0], 0, clear.shape[1])]
    return clear, windows


def _all_clear(canvas: Canvas, middle: tuple[int, int]) -> NDArray[np.uint8]:
    """All that is there: what is clear has colours that nobody is meant to see."""
    if canvas.alpha is not None:
        return np.array(reduce_to(canvas.alpha, middle), np.uint8)
    (height, width), (rows, columns) = canvas.size, middle
    return np.full((-(-height // rows), -(-width // columns)), 255, np.uint8)


def _clear_of(
    clear: NDArray[np.uint8], matte: Matte, place: Window, middle: tuple[int, int]
) -> Window:
    """Writes how far samples are behind what is in a part of the picture; returns where that is."""
    window = window_of(place, middle)
    top, bottom, left, right = window
    behind = clear[top:bottom, left:right]
    # Of 255, or of what is opaque, which the matte is a part of.
    cv2.subtract(behind, matte.reduced(place, middle, held=True), dst=behind)
    cv2.threshold(behind, _LITTLE, 0, cv2.THRESH_TOZERO, dst=behind)
    return window


def _fewer(
    samples: Samples, step: tuple[int, int], middle: tuple[int, int], shape: tuple[int, ...]
) -> Samples:
    """A plane with as many samples as the objects are cut out of."""
    fewer = (max(1, middle[0] // step[0]), max(1, middle[1] // step[1]))
    seen: Array = reduce_to(np.ascontiguousarray(samples), fewer)
    if seen.shape != shape:  # Of chroma that is coarser still.
        seen = cv2.resize(seen, shape[::-1], interpolation=cv2.INTER_NEAREST)
    return seen


def _alone(seen: Samples, clear: NDArray[np.uint8], windows: Sequence[Window]) -> Samples:
    """A plane with zero where objects are, so that nothing of them is in a small pixel's sum.

    Args:
        seen: the plane as the objects are cut out of it.
        clear: how far each sample is behind.
        windows: where anything is not.
    """
    if not windows:
        return seen
    alone = seen.copy()
    for top, bottom, left, right in windows:
        there = alone[top:bottom, left:right]
        share: Array = clear[top:bottom, left:right]
        if alone.dtype != np.uint8:
            share = share.astype(np.uint16)
        cv2.multiply(there, share, dst=there, scale=1 / 255)
    return alone


@lru_cache(maxsize=16)
def _disc(radius: float) -> NDArray[np.float32]:
    """A disc with a soft rim, float32, with the sum of 1."""
    reach = max(1, math.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return np.asarray(disc / disc.sum(), np.float32)


def _halves(planes: Planes, shrink: int, coarser: bool) -> bool:
    """Whether all planes are made small by halving alone."""
    height, width = planes.size
    unit = shrink * (2 if coarser else 1)
    whole = 1 < shrink <= 1 << MOST_HALVINGS and height % unit == width % unit == 0
    return whole and planes.grid in ((1, 1), (2, 2))
