"""How records say where an object is."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from stream.objects import soft
from stream.objects.instance import Instance
from stream.objects.outlines import Ring, rings
from stream.sinks._records import exact
from stream.types import JSON

_TOLERANCE = 1.0
"""Pixels by which a polygon may be off the outline."""
_TOLERANCE_OF_COCO = 0.75
"""Half pixels: with two thirds of it masks would be exact, with three quarters more corners."""


def mask_entry(one: Instance, masks: str, run_lengths: JSON) -> dict[str, JSON]:
    """The keys of a line of JSON that hold an object's mask.

    Args:
        one: the object.
        masks: `rle`, `polygon`, `soft` or `none`.
        run_lengths: its mask in COCO's run lengths, where they are `rle`.
    """
    if masks == "rle":
        return {"mask": run_lengths}
    if masks == "polygon":
        return {"polygons": flat(one.polygons(_TOLERANCE))}
    if masks == "soft":
        entry: dict[str, JSON] = {"cells": len(one.mask), "data": soft.encode(one.mask)}
        if not np.array_equal(one.mask_box, one.box):
            entry["box"] = [exact(side) for side in one.mask_box]
            entry["of"] = [exact(side) for side in one.box]
        return {"soft": entry}
    return {}


def coco_polygons(one: Instance) -> list[JSON]:
    """An object's outlines as COCO's polygons, a quarter of a pixel inside its pixels' edges."""
    found = one.part()
    if found is None:
        return []
    (top, bottom, left, right), inside = found
    twice = np.repeat(np.repeat(inside, 2, axis=0), 2, axis=1)
    outlines = rings(twice, (2 * top, 2 * bottom, 2 * left, 2 * right), _TOLERANCE_OF_COCO)
    return [[side / 2 + 0.25 for side in _closed(ring).reshape(-1).tolist()] for ring in outlines]


def _closed(ring: Ring) -> Ring:
    """An outline, or where it is only a line or a point, the rectangle around it.

    Importers such as CVAT's refuse a whole file for one outline with less than three points.
    """
    if len(ring) >= 3:
        return ring
    (left, top), (right, bottom) = ring.min(axis=0), ring.max(axis=0)
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], ring.dtype)


def flat(outlines: Iterable[Ring]) -> list[JSON]:
    """Outlines as lists of x and y in turns."""
    return [list(map(float, ring.reshape(-1).tolist())) for ring in outlines]
