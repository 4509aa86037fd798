"""What is behind, out of focus."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.behind import Background, Behind
from stream.compositing.canvas import Canvas
from stream.compositing.encoding import Encoding
from stream.compositing.mattes import Matte, on_grid
from stream.compositing.planes import Samples, part, reduce_to, shrink_to
from stream.compositing.style import Style
from stream.types import Array

_RADIUS = 2.7
"""Of the disc in the small picture, about: enough for a round one, few enough to be fast."""
_BLOOM = 6.0
"""How much more than its share a point of full brightness gives, as a lens sums up light and not
code values. Lights that are smaller than a pixel of the small picture are averaged first."""
_NOTHING = 1e-3
_SOME = np.float32(0.02)


class Blur(Behind):
    """Spreads each point of what is behind over a disc, as a lens does; objects stay exact.

    Nothing of the objects is spread, so that they have no halo. It is computed small: what is out
    of focus has no fine detail.
    """

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self._strength = style.blur_strength / 100
        self._kept: dict[int, Samples] = {}

    def backgrounds(self, canvas: Canvas, matte: Matte) -> Sequence[Background | None]:
        """The planes out of focus."""
        height, width = canvas.size
        radius = self._strength * height / 2
        shrink = max(1, round(radius / _RADIUS))
        size = (math.ceil(width / shrink), math.ceil(height / shrink))
        planes = canvas.planes
        small = [
            np.asarray(shrink_to(_behind_alone(samples, step, matte), size), np.float32)
            for samples, step in zip(planes.samples, planes.steps, strict=True)
        ]
        # How much of each small pixel is behind, and its luma as far as it is.
        luma, bright = small[0], _weights(planes.encoding)
        part_behind: Array = np.ones((1, 1), np.float32)
        if matte.window is not None:
            clear: Array = cv2.bitwise_not(shrink_to(matte.alpha, size))
            part_behind = np.multiply(clear, np.float32(1 / 255), dtype=np.float32)
            luma = np.divide(luma, np.maximum(part_behind, _SOME), dtype=np.float32)
        given: Array = bright.take(luma.astype(np.int32), mode="clip")
        disc = _disc(radius / shrink)
        total: Array = np.maximum(_spread(given * part_behind, disc), np.float32(_NOTHING))
        found: list[Background | None] = []
        for place, (plane, samples) in enumerate(zip(small, planes.samples, strict=True)):
            mean: Array = cv2.divide(_spread(plane * given, disc), total)
            blurred: Array = np.rint(mean, out=mean).astype(samples.dtype)
            found.append(self._large(place, blurred, samples))
        return found

    def _large(self, place: int, small: Array, samples: Samples) -> Samples:
        """A small plane as large as the picture's, in memory that is kept."""
        kept = self._kept.get(place)
        if kept is None or kept.shape != samples.shape or kept.dtype != samples.dtype:
            kept = self._kept[place] = np.empty(samples.shape, samples.dtype)
        cv2.resize(small, samples.shape[::-1], dst=kept, interpolation=cv2.INTER_LINEAR)
        return kept


def _spread(plane: NDArray[np.float32], disc: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.filter2D(plane, -1, disc, borderType=cv2.BORDER_REFLECT_101), np.float32)


def _behind_alone(samples: Samples, step: tuple[int, int], matte: Matte) -> Array:
    """A plane with zero where objects are, so that nothing of them is in a small pixel's sum."""
    if matte.window is None:
        return np.ascontiguousarray(samples)
    rows, columns = step
    height, width = samples.shape
    window = on_grid(matte.window, (height * rows, width * columns), step)
    alpha = matte.alpha[window[0] : window[1], window[2] : window[3]]
    clear: Array = cv2.bitwise_not(reduce_to(alpha, step))
    alone = samples.copy()
    there: Array = part(alone, step, window)
    if alone.dtype != np.uint8:
        clear = clear.astype(np.uint16)
    there[...] = cv2.multiply(np.ascontiguousarray(there), clear, scale=1 / 255)
    return np.asarray(alone)


@lru_cache(maxsize=16)
def _disc(radius: float) -> NDArray[np.float32]:
    """A disc with a soft rim, float32, with the sum of 1."""
    reach = max(1, math.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return np.asarray(disc / disc.sum(), np.float32)


@lru_cache(maxsize=16)
def _weights(encoding: Encoding) -> NDArray[np.float32]:
    """How much a point of each luma code gives to those around it, float32 [codes]."""
    codes = np.arange(1 << encoding.depth)
    light = np.clip((codes - encoding.black) / (encoding.white - encoding.black), 0, 1)
    return np.asarray(1 + _BLOOM * light**6, np.float32)
