"""Stored pictures: decoding them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream_models.training.data import LONGEST, Picture

Image = NDArray[np.uint8]


def load_picture(picture: Picture) -> Image:
    """Decode a picture to RGB uint8 (H, W, 3) of its width and height.

    Raises ValueError if it is unreadable or has another shape than its annotation says.
    """
    image = cv2.imread(str(picture.path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{picture.path.name}: the picture cannot be read")
    height, width = image.shape[:2]
    if (width, height) != (picture.width, picture.height):
        # Files larger than LONGEST are shrunk; their shape may be off by a rounding.
        if max(picture.width, picture.height) != LONGEST or (
            abs(width * picture.height / (height * picture.width) - 1.0) > 0.02
        ):
            raise ValueError(
                f"{picture.path.name}: is {width}x{height} pixels, its annotation says "
                f"{picture.width}x{picture.height}"
            )
        size = (picture.width, picture.height)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
