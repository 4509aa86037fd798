"""Layers that blend each object's colour by the distance from its edge, several in one pass."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.compositing.canvas import Canvas
from stream.compositing.layer import Layer
from stream.compositing.masks import Profile, extent, kept, profile, strips
from stream.compositing.planes import blend_around, part, reduce_to

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
    reach = strength.side // 2
    for index in reversed(range(len(canvas.instances))):
        found = canvas.tidied(index) if tidy else canvas.pasted(index, exactly=False)
        if found is None:
            continue
        (top, _, left, _), inside = found
        planes, scratch = canvas.planes, canvas.memory.scratch
        codes = planes.encoding.codes(canvas.colour(index))
        for start, stop in strips(inside.shape, planes.grid, _STRIP // planes.samples[0].itemsize):
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
