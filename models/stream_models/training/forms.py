"""What the numbers of a COCO file mean, where tools mean others than COCO does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from stream_models.training.data import Box, Picture
from stream_models.training.objects import BadLabelError, number, read_mask

_LOOKED_AT = 500
"""Objects; a tool writes all of a file's alike."""
_NEAR = 2.0
"""Pixels by which a box and the mask in it may differ where they are meant to agree."""


def boxes_are_corners(entries: Iterable[Mapping[str, object]]) -> bool:
    """Whether boxes are written as x1, y1, x2, y2, and not as x, y, width and height.

    Masks tell: at least one box fits its polygons so and not as COCO's, and none the other way.
    """
    corners = 0
    for box, extent in islice(_with_extents(entries), _LOOKED_AT):
        as_corners = _fits(tuple(box), extent)
        as_sides = _fits((box[0], box[1], box[0] + box[2], box[1] + box[3]), extent)
        if as_sides and not as_corners:
            return False
        corners += as_corners and not as_sides
    return corners > 0


def are_shares(entries: Iterable[Mapping[str, object]]) -> bool:
    """Whether all boxes, or all masks where there are none, lie between 0 and 1."""
    seen = False
    for entry in islice(entries, _LOOKED_AT):
        numbers = _numbers(entry.get("bbox")) or _numbers(entry.get("segmentation"))
        if any(abs(one) > 1 for one in numbers):
            return False
        seen = seen or any(numbers)
    return seen


def _numbers(value: object) -> list[float]:
    """All numbers in lists within lists, as labels have them."""
    if isinstance(value, list):
        return [one for part in value for one in _numbers(part)]
    found = number(value)
    return [] if found is None else [found]


def _with_extents(entries: Iterable[Mapping[str, object]]) -> Iterator[tuple[list[float], Box]]:
    for entry in entries:
        box, polygons = entry.get("bbox"), entry.get("segmentation")
        if not isinstance(box, list) or len(box) != 4 or not isinstance(polygons, list):
            continue
        numbers = _numbers(box)
        try:
            mask = read_mask(polygons, (0, 0))
        except BadLabelError:
            continue
        if mask is not None and len(numbers) == 4:
            yield numbers, mask.box


def _fits(box: tuple[float, ...], extent: Box) -> bool:
    return all(abs(a - b) <= _NEAR for a, b in zip(box, extent, strict=True))


def turn(picture: Picture, orientation: int) -> None:
    """Turns a picture's labels as its EXIF orientation (5 to 8) turns what is stored.

    Its width and height, and those of its objects, are of what is stored before, and of what is
    shown after.
    """

    def turned(points: NDArray[np.float32]) -> NDArray[np.float32]:
        x, y = points[:, 0], points[:, 1]
        across = picture.height - y if orientation in (6, 7) else y
        down = picture.width - x if orientation in (7, 8) else x
        return np.stack((across, down), axis=1)

    for item in picture.objects:
        corners = turned(np.array(item.box, np.float32).reshape(2, 2))
        (x1, y1), (x2, y2) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        item.box = (x1, y1, x2, y2)
        item.polygons = [turned(ring) for ring in item.polygons]
    picture.width, picture.height = picture.height, picture.width
