"""Layers that blend each object's colour by the distance from its edge, several in one pass."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.canvas import Canvas, Pasted
from stream.compositing.layer import Layer
from stream.compositing.masks import BORDER, Profile, extent, kept, profile, strips
from stream.compositing.planes import Planes, blend_around, part, reduce_to
from stream.types import Array

_STRIP = 120 * 1024
"""Bytes of luma that are painted at a time: what is made on the way stays in the cache."""
_THIN = 16


class Tint(Layer):
    """A layer that only says how strongly a colour covers at a distance from the object's edge.

    Such layers that follow each other in a look are painted in one pass over each object, the
    strongest of them at each distance, so that several cost what one costs.
    """

    only_adds: ClassVar[bool] = True

    tidy: ClassVar[bool] = False
    """Whether specks and holes under a thousandth of the object are left out."""

    @abstractmethod
    def cover(self, distance: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
        """Opacity, 0..1, at distances to a straight edge in pixels, positive inside.

        Args:
            distance: float64, any shape.
            size: the picture's height and width in pixels.
        """

    def reach(self, size: tuple[int, int]) -> float:
        """How far from the edge opacity still changes, in pixels; at most 6.5."""
        return 0.5

    def margin(self, size: tuple[int, int]) -> int:
        """As far as the square reaches over which masks are counted."""
        return _side([self], size) // 2

    def paint(self, canvas: Canvas) -> None:
        """Blends the colour of each object, the best score last, on top."""
        tint(canvas, [self])


class Tints(Layer):
    """Several tints in one pass."""

    only_adds: ClassVar[bool] = True

    def __init__(self, layers: Sequence[Tint]) -> None:
        super().__init__(layers[0].style)
        self._layers = tuple(layers)

    def margin(self, size: tuple[int, int]) -> int:
        """The largest of theirs."""
        return _side(self._layers, size) // 2

    def paint(self, canvas: Canvas) -> None:
        """Blends the strongest of them."""
        tint(canvas, self._layers)


def tint(canvas: Canvas, layers: Sequence[Tint]) -> None:
    """Blends each object's colour into the picture, as strongly as the strongest layer says."""
    strength = _profile(tuple(layers), canvas.size)
    tidy = any(layer.tidy for layer in layers)
    thin = _THIN + 2 * (canvas.margin - strength.side // 2)
    for index in reversed(range(len(canvas.instances))):
        found = canvas.tidied(index) if tidy else canvas.pasted(index, exactly=False)
        if found is None:
            continue
        planes = canvas.planes  # Not before: a picture without objects is not copied.
        most = _STRIP // planes.samples[0].itemsize
        quickly = all(one.dtype == np.uint8 and one.strides[0] > 0 for one in planes.samples)
        codes = planes.encoding.codes(canvas.colour(index))
        if quickly and found.inside.size <= most and min(found.inside.shape) > thin:
            _tint_whole(canvas, planes, found, strength, codes)
        else:
            _tint_strips(canvas, planes, found, strength, codes, thin, most)


def _tint_whole(
    canvas: Canvas, planes: Planes, found: Pasted, strength: Profile, codes: Sequence[int]
) -> None:
    """Blends a colour into the window of a small object: with few calls, for crowds."""
    (top, bottom, left, right), inside = found
    scratch = canvas.memory.scratch
    side, shape = strength.side, inside.shape
    stays: Array = scratch("stays", shape)
    count = cv2.boxFilter(
        inside, -1, (side, side), dst=scratch("count", shape), normalize=False, borderType=BORDER
    )
    cv2.LUT(count, strength.keeps, dst=stays)
    added: Array = scratch("added", shape)
    before = (1, 1)
    for samples, step, code in zip(planes.samples, planes.steps, codes, strict=False):
        down, across = step
        there = samples[top // down : -(-bottom // down), left // across : -(-right // across)]
        if step != before:  # Once for both planes of chroma.
            stays, before = reduce_to(stays, step), step
            added = scratch("added", stays.shape)
        cv2.convertScaleAbs(stays, dst=added, alpha=-code / 255, beta=code)
        cv2.multiply(there, stays, dst=there, scale=1 / 255)
        cv2.add(there, added, dst=there)


def _tint_strips(
    canvas: Canvas,
    planes: Planes,
    found: Pasted,
    strength: Profile,
    codes: Sequence[int],
    thin: int,
    most: int,
) -> None:
    """Blends a colour into the rows and columns that an object touches, some at a time."""
    (top, _, left, _), inside = found
    scratch, reach = canvas.memory.scratch, strength.side // 2
    for start, stop in strips(inside.shape, planes.grid, most):
        rows, columns = slice(start, stop), slice(0, inside.shape[1])
        if stop - start < len(inside):  # A small object fills most of its window.
            touched = extent(inside, start, stop, reach, planes.grid)
            if touched is None:
                continue
            rows, columns = touched
        stays = kept(inside, rows, columns, strength, scratch, thin)
        window = (top + rows.start, top + rows.stop, left + columns.start, left + columns.stop)
        for place, step in enumerate(planes.steps):
            if place < 2 and step != (1, 1):  # Once for both planes of chroma.
                stays = reduce_to(stays, step)
            there = part(planes.samples[place], step, window)
            blend_around(there, stays, codes[place], scratch("added", stays.shape))


def _side(layers: Sequence[Tint], size: tuple[int, int]) -> int:
    # At most 15, so that a count of pixels fits a byte.
    return min(15, 2 * int(max(layer.reach(size) for layer in layers) - 0.5) + 3)


@lru_cache(maxsize=64)
def _profile(layers: tuple[Tint, ...], size: tuple[int, int]) -> Profile:
    def cover(distance: NDArray[np.float64]) -> NDArray[np.float64]:
        covered = [layer.cover(distance, size) for layer in layers]
        return np.asarray(np.maximum.reduce(covered), np.float64)

    return profile(_side(layers, size), cover)
