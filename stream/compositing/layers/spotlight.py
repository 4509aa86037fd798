"""What is behind darker, with a wide pool of light around each object."""

from __future__ import annotations

import cv2
import numpy as np

from stream.compositing.canvas import Canvas
from stream.compositing.layers.dim import Dim
from stream.compositing.mattes import Matte
from stream.compositing.planes import shrink_to
from stream.types import Array

_POOL = 0.2
"""Of the picture's height, over which light falls off."""
_SHRINK = 8
"""A pool of light has no detail: it is made so many times smaller."""


class Spotlight(Dim):
    """Like dim, with light that falls off slowly around the objects."""

    def matte(self, canvas: Canvas) -> Matte:
        """The objects, with a pool of light around them."""
        sharp = super().matte(canvas)
        if sharp.window is None:
            return sharp
        height, width = canvas.size
        small = shrink_to(sharp.alpha, (-(-width // _SHRINK), -(-height // _SHRINK)))
        # At an edge half of what is averaged is an object: twice that is whole light.
        side = 2 * round(_POOL * height / 2 / _SHRINK) + 1
        wide: Array = cv2.blur(small, (side, side), borderType=cv2.BORDER_REPLICATE)
        wide = cv2.resize(cv2.add(wide, wide), (width, height), interpolation=cv2.INTER_LINEAR)
        reach = (side // 2 + 1) * _SHRINK
        top, bottom, left, right = sharp.window
        window = (
            max(0, top - reach),
            min(height, bottom + reach),
            max(0, left - reach),
            min(width, right + reach),
        )
        return Matte(np.asarray(cv2.max(wide, sharp.alpha), np.uint8), [window])
