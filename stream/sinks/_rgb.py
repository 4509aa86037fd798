"""YUV pictures back to 8-bit RGB, exactly where they were 8-bit RGB before."""

from __future__ import annotations

from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from stream.references import Referencer

# ITU-T H.273, matrix 5 with full range and 10 bits; rows B, G, R; columns Y, Cb, Cr.
_BACKWARD = np.array(
    [
        [1, 1.772, 0],
        [1, -0.114 * 1.772 / 0.587, -0.299 * 1.402 / 0.587],
        [1, 0, 1.402],
    ]
)
_SCALE = 255 / 1023
_ROWS = 256


def bgr_from_picture(picture: av.VideoFrame) -> NDArray[np.uint8]:
    """The picture's colours, uint8 [H, W, 3], blue, green, red.

    Full-range 10-bit 4:4:4 in BT.601, which is what photos are worked on in, gives every 8-bit
    colour back exactly; other pictures are converted by FFmpeg.
    """
    exact = picture.format.name == "yuv444p10le" and picture.color_range == ColorRange.JPEG
    if not exact or picture.colorspace not in (5, 6):
        # While it converts, PyAV changes the tags of the picture that it is given.
        return Referencer()(picture).to_ndarray(format="bgr24").astype(np.uint8, copy=False)
    planes = [_samples(plane) for plane in picture.planes]
    matrix = _BACKWARD * _SCALE
    offset = 0.5 - matrix @ np.array([[0], [512], [512]])
    full = np.hstack([matrix, offset]).astype(np.float32)
    pixels = np.empty((picture.height, picture.width, 3), np.uint8)
    for top in range(0, picture.height, _ROWS):
        band = cv2.merge([plane[top : top + _ROWS].astype(np.float32) for plane in planes])
        pixels[top : top + _ROWS] = np.clip(cv2.transform(band, full), 0, 255).astype(np.uint8)
    return pixels


def _samples(plane: Any) -> NDArray[np.uint16]:
    rows = np.frombuffer(plane, np.uint16).reshape(plane.height, plane.line_size // 2)
    return rows[:, : plane.width]
