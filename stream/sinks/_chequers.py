"""What is transparent, as displays show it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_SQUARE = 16
_DARK, _BRIGHT = np.uint8(96), np.uint8(144)


def on_chequers(bgr: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture on grey chequers, as it is usual for what is transparent.

    Args:
        bgr: uint8 [H, W, 3].
        alpha: uint8 [H, W], 0 to 255.
    """
    height, width = alpha.shape
    y, x = np.ogrid[:height, :width]
    behind = np.where((y // _SQUARE + x // _SQUARE) % 2, _DARK, _BRIGHT)
    share = cv2.merge([alpha] * 3)
    kept = cv2.multiply(bgr, share, scale=1 / 255)
    rest = cv2.multiply(cv2.merge([behind] * 3), cv2.bitwise_not(share), scale=1 / 255)
    return np.asarray(cv2.add(kept, rest), np.uint8)
