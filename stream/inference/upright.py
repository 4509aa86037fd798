"""Decoded pictures that lie on their side: found upright, told where they are stored."""

from __future__ import annotations

from dataclasses import replace

import av
import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances
from stream.pictures.pixels import rgb_from_picture


def quarter_turns(picture: av.VideoFrame) -> int:
    """How often a decoded picture is to be turned clockwise by 90 degrees to be upright, 0..3.

    Phones store what they film as the sensor gives it, and say how it is to be turned; FFmpeg
    counts degrees counterclockwise.
    """
    return round(-picture.rotation / 90) % 4


def upright(picture: av.VideoFrame, turns: int) -> NDArray[np.uint8]:
    """The picture turned clockwise so often, uint8 RGB [H, W, 3]."""
    return np.ascontiguousarray(np.rot90(rgb_from_picture(picture), -turns))


def turned_back(found: Instances, turns: int) -> Instances:
    """What was found in an upright picture, in the pixels of the picture as it is stored.

    Args:
        found: in the upright picture.
        turns: how often that was turned clockwise by 90 degrees.
    """
    for _ in range(turns):
        found = _counterclockwise(found)
    return found


def _counterclockwise(found: Instances) -> Instances:
    height, width = found.picture_size
    boxes = _turned(found.boxes, width)
    return replace(
        found,
        boxes=boxes,
        masks=np.ascontiguousarray(np.rot90(found.masks, axes=(1, 2))),
        picture_size=(width, height),
        mask_boxes=None if found.mask_boxes is None else _turned(found.mask_boxes, width),
        unsure=None if found.unsure is None else _counterclockwise(found.unsure),
    )


def _turned(boxes: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Boxes of a picture of a width after it is turned counterclockwise: right is up then."""
    x1, y1, x2, y2 = boxes.T
    return np.stack([y1, width - x2, y2, width - x1], 1).astype(np.float32)
