"""8-bit RGB pictures as YUV that gives every colour back exactly.

Full-range 4:4:4 with 10 bits: a step of an 8-bit colour is four steps of luma, so rounding never
reaches half a step of any colour (all 2^24 colours are tested). FFmpeg's own conversion loses up
to one step even with 16 bits.
"""

from __future__ import annotations

from typing import Final

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from stream.sources._pixels import plane_view

PIXEL_FORMAT: Final = "yuv444p10le"
COLOUR: Final = 5
"""The matrix of ITU-T H.273 that these pictures are in: BT.601, as in JPEG."""

# H.273 matrix 5: KR = 0.299, KB = 0.114; rows Y, Cb, Cr; columns B, G, R.
_FORWARD = np.array(
    [
        [0.114, 0.587, 0.299],
        [0.5, -0.587 / 1.772, -0.299 / 1.772],
        [-0.114 / 1.402, -0.587 / 1.402, 0.5],
    ]
)
_SCALE = 1023 / 255
_ROWS = 256


def picture_from_bgr(pixels: NDArray[np.uint8]) -> av.VideoFrame:
    """A picture in full-range YUV 4:4:4, 10 bits.

    Args:
        pixels: uint8 [H, W, 3], blue, green, red.
    """
    height, width = pixels.shape[:2]
    picture = av.VideoFrame(width, height, PIXEL_FORMAT)
    planes = [plane_view(plane, 2) for plane in picture.planes]
    matrix = np.hstack([_FORWARD * _SCALE, [[0.5], [512.5], [512.5]]]).astype(np.float32)
    # In bands, so that a large photo costs no multiple of itself in memory.
    for top in range(0, height, _ROWS):
        band = cv2.transform(pixels[top : top + _ROWS].astype(np.float32), matrix)
        whole = np.clip(band, 0, 1023).astype(np.uint16)
        for plane, values in zip(planes, cv2.split(whole), strict=True):
            plane[top : top + _ROWS] = values
    picture.colorspace, picture.color_range = COLOUR, 2
    return picture
