"""What is behind, out of focus."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.behind import Background, Behind, Small
from stream.compositing.canvas import Canvas
from stream.compositing.defocus import FastSpread, Spread, cutting, given_by, spreading
from stream.compositing.encoding import Encoding
from stream.compositing.mattes import Matte
from stream.compositing.style import Style

_RADIUS = 1.75
"""Of the disc in the small picture, at least, and less than twice as much: enough for a round one,
few enough to be fast."""
_BLOOM = 6.0
"""How much more than its share a point of full brightness gives, as a lens sums up light and not
code values. Lights that are smaller than a pixel of the small picture are averaged first."""
_FEWEST = 4
"""Pixels; OpenCV takes an array of fewer for one number, and there is nothing to blur."""


class Blur(Behind):
    """Spreads each point of what is behind over a disc, as a lens does; objects stay exact.

    Nothing of the objects is spread, so that they have no halo. It is computed small: what is out
    of focus has no fine detail.
    """

    conceals: ClassVar[bool] = True

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self._strength = style.blur_strength / 100

    def backgrounds(self, canvas: Canvas, matte: Matte) -> Sequence[Background | None]:
        """The planes out of focus."""
        height, width = canvas.size
        radius = self._strength * height / 2
        # Halving is many times as fast as other ways to make a picture small.
        shrink = 1 << max(0, math.floor(math.log2(radius / _RADIUS)))
        size = (math.ceil(width / shrink), math.ceil(height / shrink))
        if size[0] * size[1] < _FEWEST:
            return [None] * len(canvas.steps)
        planes = canvas.planes
        # Objects are cut out of planes of half the size, which chroma mostly has, a quarter of the
        # work: of such a sample that has only a little of an object, nothing counts.
        middle = (1, 1) if shrink == 1 else (2, 2)
        # Colours are seen less sharply, and spread in half as many samples each way where that is
        # a halving, which is fast.
        few = (size[0] // 2, size[1] // 2)
        coarser = shrink > 1 and size[0] % 2 == size[1] % 2 == 0 and few[0] * few[1] >= _FEWEST
        cutter = cutting(canvas, matte, shrink, middle, coarser=coarser)
        spread: Spread | FastSpread | None = None
        found: list[Background | None] = []
        for place, (samples, step) in enumerate(zip(planes.samples, planes.steps, strict=True)):
            own = few if place and coarser else size
            small, whole = cutter.cut(samples, step, own)
            if spread is None:
                # How much of each small pixel is behind, and its luma as far as it is.
                given_to = cutter.clear(size)
                given = given_by(small, given_to, _weights(canvas.encoding))
                spread = spreading(given, given_to, radius / shrink, narrow=planes.narrow)
            elif place == 1 and coarser:
                fewer = cv2.resize(spread.given, few, interpolation=cv2.INTER_AREA)
                given = np.asarray(fewer, np.float32)
                spread = spreading(
                    given, cutter.clear(few), radius / shrink / 2, narrow=planes.narrow
                )
            found.append(Small(spread(small, whole)))
        return found


@lru_cache(maxsize=16)
def _weights(encoding: Encoding) -> NDArray[np.float32]:
    """How much a point of each luma code gives to those around it, float32 [codes]."""
    codes = np.arange(1 << encoding.depth)
    light = np.clip((codes - encoding.black) / (encoding.white - encoding.black), 0, 1)
    return np.asarray(1 + _BLOOM * light**6, np.float32)
