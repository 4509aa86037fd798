"""One labelled object from what a label says: its box, its mask, and whether they fit."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.errors import UsageError
from stream.objects.rle import decode
from stream.wording.words import counted
from stream_models.training.data import ANY_CLASS, Box, Object, Picture
from stream_models.training.polygons import Polygons, cut, draw, outline

_SLACK = 2.0
"""Pixels by which boxes and masks may miss each other and the picture: tools round."""
_OUTSIDE = 0.1
"""Share of a mask that may lie outside its box and is cut off; with more one of them is wrong."""


class BadLabelError(Exception):
    """A label that no object can be made of.

    The message is the end of a sentence about it. `places` are the boxes in the picture where the
    object may be; empty where nothing is known of it.
    """

    def __init__(self, reason: str, places: Sequence[Box] = ()) -> None:
        super().__init__(reason)
        self.places = list(places)


@dataclasses.dataclass
class Mask:
    """Outlines in pixels, the area in square pixels, and the smallest box around it."""

    polygons: Polygons
    area: float
    box: Box


def number(value: object) -> float | None:
    """A finite number from JSON, or from a string that is one; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def build(box: object, segmentation: object, size: tuple[int, int]) -> tuple[Box, Mask | None]:
    """The box and the mask of an object in a picture of `size` (width, height).

    `box` is COCO's x, y, width, height and may be None where there is a mask. `segmentation` is
    polygons, one flat polygon, or run lengths; nothing, and empty lists, mean that the mask is not
    known. The box is cut to the picture, the mask to its box.

    Raises:
        BadLabelError: the two say nothing or contradict each other or the picture.
    """
    given: Box | None = None
    wrong: BadLabelError | None = None
    try:
        given = read_box(box)
    except BadLabelError as error:
        wrong = error
    mask: Mask | None = None
    try:
        mask = read_mask(segmentation, size)
    except BadLabelError as error:
        wrong = wrong or error
    places = [
        place
        for place in (inside(found, size) for found in (given, mask and mask.box) if found)
        if place is not None
    ]
    if wrong is not None:
        raise BadLabelError(str(wrong), places)
    if given is None:
        if mask is None:
            raise BadLabelError("has neither a box nor a mask", places)
        given = mask.box
    width, height = size
    if min(given[:2]) < -_SLACK or given[2] > width + _SLACK or given[3] > height + _SLACK:
        raise BadLabelError(f"has a box that leaves the picture ({width}x{height})", places)
    cut_box = inside(given, size)
    if cut_box is None:
        raise BadLabelError(f"has a box that leaves the picture ({width}x{height})", places)
    if mask is not None:
        outside = share_outside(mask, cut_box)
        if outside > _OUTSIDE:
            shown = [round(value) for value in cut_box]
            raise BadLabelError(
                f"has a mask of which {outside:.0%} lies outside its box {shown}", places
            )
        if outside > 0.0:
            # Less than a tenth is cut off, so that something always stays.
            rings = cut(mask.polygons, cut_box)
            mask = Mask(rings, mask.area * (1.0 - outside), cut_box)
    return cut_box, mask


def read_box(value: object) -> Box | None:
    """COCO's box as x1, y1, x2, y2; None where there is none.

    Raises:
        BadLabelError: it is no box, or an empty one.
    """
    if value is None or value == []:
        return None
    if not isinstance(value, list) or len(value) != 4:
        raise BadLabelError("has a box that is not the four numbers x, y, width and height")
    numbers = [number(part) for part in value]
    if any(part is None for part in numbers):
        raise BadLabelError("has a box with something else than numbers in it")
    x, y, width, height = (part for part in numbers if part is not None)
    if width <= 0 or height <= 0:
        raise BadLabelError("has an empty box")
    return (x, y, x + width, y + height)


def inside(box: Box, size: tuple[int, int]) -> Box | None:
    """What of `box` lies in a picture of `size` (width, height); None for nothing."""
    width, height = size
    x1, x2 = (min(max(value, 0.0), float(width)) for value in (box[0], box[2]))
    y1, y2 = (min(max(value, 0.0), float(height)) for value in (box[1], box[3]))
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None


def read_mask(value: object, size: tuple[int, int]) -> Mask | None:
    """COCO's segmentation as a mask; None where there is none.

    Raises:
        BadLabelError: it is none, empty, or far outside the picture.
    """
    if value is None or value in ([], {}):
        return None
    if isinstance(value, Mapping):
        return _from_runs(value, size)
    if not isinstance(value, list):
        raise BadLabelError("has a mask that is neither polygons nor run lengths")
    if all(not isinstance(part, (list, dict)) for part in value):
        return _from_rings([value])
    if all(isinstance(part, list) and len(part) == 2 for part in value) and len(value) > 2:
        return _from_rings([value])
    return _from_rings(value)


def _from_rings(values: Sequence[object]) -> Mask:
    rings: list[NDArray[np.float64]] = []
    for value in values:
        ring = _ring(value)
        if ring is not None:
            rings.append(ring)
    if not rings:
        raise BadLabelError("has an empty mask")
    if max(float(np.abs(ring).max()) for ring in rings) > 1e6:
        raise BadLabelError("has a mask far outside the picture")
    area = sum(_ring_area(ring) for ring in rings)
    points = np.concatenate(rings)
    (x1, y1), (x2, y2) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return Mask([ring.astype(np.float32) for ring in rings], area, (x1, y1, x2, y2))


def _ring(value: object) -> NDArray[np.float64] | None:
    """A ring (N, 2) of flat coordinates or of points; None where it encloses nothing."""
    if not isinstance(value, list):
        raise BadLabelError("has a polygon that is not a list of numbers")
    found = _coordinates(value)
    if len(found) % 2:
        raise BadLabelError(
            f"has a polygon of {counted(len(found), 'number')}, not of pairs of x and y"
        )
    ring = found.reshape(-1, 2)
    if len(ring) < 3:
        return None
    legs = ring - ring[0]
    far = legs[np.argmax(np.abs(legs).sum(axis=1))]
    with np.errstate(over="ignore", invalid="ignore"):
        aside = legs[:, 0] * far[1] - legs[:, 1] * far[0]
    return ring if np.any(aside != 0) else None


def _coordinates(values: list[object]) -> NDArray[np.float64]:
    if set(map(type, values)) <= {int, float}:
        try:
            plain = np.array(values, np.float64)
        except OverflowError:
            plain = np.array([np.inf])
        if not np.isfinite(plain).all():
            raise BadLabelError("has a polygon with something else than numbers in it")
        return plain
    flat: list[object] = []
    for part in values:
        flat.extend(part if isinstance(part, list) else [part])
    numbers = [number(part) for part in flat]
    found = [part for part in numbers if part is not None]
    if len(found) < len(numbers):
        raise BadLabelError("has a polygon with something else than numbers in it")
    return np.array(found, np.float64)


def _ring_area(ring: NDArray[np.float64]) -> float:
    x, y = (ring - ring[0]).T
    return abs(float(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1]))) / 2


def _from_runs(value: Mapping[str, object], size: tuple[int, int]) -> Mask:
    width, height = size
    stated, counts = value.get("size"), value.get("counts")
    if not isinstance(stated, list) or [number(part) for part in stated] != [height, width]:
        raise BadLabelError(
            f"has a mask in run lengths of the size {stated}, and its picture is {height} high "
            f"and {width} wide"
        )
    if isinstance(counts, list):
        runs = [number(part) for part in counts]
        if any(run is None or run != int(run) or not 0 <= run <= width * height for run in runs):
            raise BadLabelError("has a mask in run lengths that are no counts of pixels")
        counts = [int(run) for run in runs if run is not None]
    try:
        mask = decode({"size": [height, width], "counts": counts}).view(np.uint8)
    except (UsageError, OverflowError, MemoryError) as error:
        raise BadLabelError("has a mask in run lengths that do not fill its picture") from error
    polygons = outline(mask)
    if not polygons:
        raise BadLabelError("has an empty mask")
    return Mask(polygons, float(np.count_nonzero(mask)), pixel_box(mask))


def share_outside(mask: Mask, box: Box) -> float:
    """The share (0..1) of a mask that lies outside `box`; 0 where it reaches out by a rounding."""
    x1, y1, x2, y2 = mask.box
    reach = max(box[0] - x1, box[1] - y1, x2 - box[2], y2 - box[3])
    if reach <= _SLACK:
        return 0.0
    # Counted in at most 1024 cells a side: drawing fills the cells of the outline too.
    low = np.array([min(x1, box[0]), min(y1, box[1])])
    span = max(x2 - low[0], y2 - low[1], box[2] - low[0], box[3] - low[1], 1.0)
    scale = min(1024.0 / span, 16.0)
    side = int(np.ceil(span * scale)) + 2
    canvas = np.zeros((side, side), np.uint8)
    draw([((ring - low) * scale).astype(np.float32) for ring in mask.polygons], canvas, 1)
    whole = int(np.count_nonzero(canvas))
    left, top = (round(float(value)) for value in (np.array(box[:2]) - low) * scale)
    right, bottom = (round(float(value)) for value in (np.array(box[2:]) - low) * scale)
    within = int(np.count_nonzero(canvas[top:bottom, left:right]))
    return (whole - within) / whole if whole else 0.0


def unsure(picture: Picture, places: Sequence[Box], label: int | None) -> None:
    """Note in `picture` that an object was left out, so that it is not taken for background.

    `label` is None where its class is not known. Without `places` it may be anywhere: then the
    picture proves nothing about where its class is not.
    """
    for place in dict.fromkeys(places):  # a mask's and its box's are often one
        x1, y1, x2, y2 = place
        area = (x2 - x1) * (y2 - y1)
        picture.objects.append(
            Object(place, ANY_CLASS if label is None else label, [], area, 0.0, True)
        )
    if not places:
        picture.known[slice(None) if label is None else label] = False


def pixel_box(mask: NDArray[np.uint8]) -> Box:
    """The box around the nonzero pixels of a mask (H, W)."""
    x, y, width, height = cv2.boundingRect(mask)
    return (float(x), float(y), float(x + width), float(y + height))
