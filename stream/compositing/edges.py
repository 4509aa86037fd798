"""Objects at full resolution: refined by the picture, steadied over time."""

from __future__ import annotations

from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from stream.compositing import learned
from stream.compositing.planes import Planes, readable_planes
from stream.compositing.refine import (
    FINE,
    Region,
    bilateral,
    cell_of,
    look,
    regions,
    roughly,
    shown,
)
from stream.compositing.soft import Soft, centred, pasted
from stream.compositing.steady import Steady, SteadyTogether
from stream.compositing.together import merged
from stream.instances import Instances


class Care(NamedTuple):
    """What is done for edges.

    Attributes:
        refine: whether they are drawn to the picture's own.
        steady: whether they lie still where the picture does.
        refiner: what draws those of classes that a network learnt; see `learned.chosen`.
    """

    refine: bool
    steady: bool
    refiner: str = "learned"

    @property
    def any(self) -> bool:
        """Whether there is something to do."""
        return self.refine or self.steady


class Edges:
    """Makes masks at full resolution, frame after frame. One thread at a time."""

    def __init__(self) -> None:
        self._steady: dict[Care, Steady] = {}
        self._steady_together: dict[Care, SteadyTogether] = {}

    def softs(
        self,
        picture: av.VideoFrame,
        instances: Instances,
        threshold: float,
        seconds: float,
        care: Care,
    ) -> list[Soft | None]:
        """Each object of the next frame.

        Args:
            picture: not painted on yet.
            instances: what was found in it.
            threshold: a soft mask above this is the object.
            seconds: the frame's presentation time.
            care: what is done.

        Returns:
            For each instance; None where no pixel of the picture is its.
        """
        planes = readable_planes(picture)
        found = _drawn(planes, instances, threshold, care)
        if care.steady:
            steady = self._steady.setdefault(care, Steady())
            found = steady(_luma(planes), instances, found, seconds)
        return found

    def together(
        self,
        picture: av.VideoFrame,
        instances: Instances,
        threshold: float,
        seconds: float,
        care: Care,
    ) -> list[Soft]:
        """All objects of the next frame, where it does not count which is whose.

        They are steadied together, which costs a part of what each alone costs.

        Args:
            picture: not painted on yet.
            instances: what was found in it.
            threshold: a soft mask above this is an object.
            seconds: the frame's presentation time.
            care: what is done.

        Returns:
            Parts of the picture, which may lie over each other.
        """
        planes = readable_planes(picture)
        drawn = _drawn(planes, instances, threshold, care)
        found = merged([soft for soft in drawn if soft is not None])
        if care.steady:
            steady = self._steady_together.setdefault(care, SteadyTogether())
            found = steady(_luma(planes), instances, found, seconds)
        return found


def _drawn(planes: Planes, instances: Instances, threshold: float, care: Care) -> list[Soft | None]:
    """Each object, refined if that is done; None where no pixel of the picture is its."""
    masks, boxes, size = instances.masks, instances.paste_boxes, planes.size
    if not care.refine:
        return [pasted(mask, box, size, threshold) for mask, box in zip(masks, boxes, strict=True)]
    cells = (masks.shape[1], masks.shape[2])
    known = learned.chosen(care.refiner)
    found: list[Region | None] = [None] * len(boxes)
    if known is not None:
        names = np.array([name in known.classes for name in instances.names], np.bool_)
        found = learned.regions(names, boxes, cells, size, planes.grid)
    rest = [index for index, region in enumerate(found) if region is None]
    seen: dict[int, NDArray[np.uint8]] = {}
    for index, region in enumerate(found):
        if region is not None and known is not None:
            mask = centred(masks[index], threshold)
            seen[index] = learned.draw(known, planes, region, mask, boxes[index])
    by_filter = []
    for index, region in zip(rest, regions(boxes[rest], cells, size, planes.grid), strict=True):
        if region is not None:
            mask = centred(masks[index], threshold)
            seen[index] = look(planes, region, mask, boxes[index])
            by_filter.append(seen[index])
            found[index] = region
    roughly(by_filter)
    fine = dict(zip(seen, bilateral(list(seen.values()), FINE), strict=True))
    return [
        pasted(mask, box, size, threshold)
        if region is None
        else shown(fine[index], region, cell_of(box, cells))
        for index, (mask, box, region) in enumerate(zip(masks, boxes, found, strict=True))
    ]


def _luma(planes: Planes) -> NDArray[np.uint8]:
    luma, depth = planes.samples[0], planes.encoding.depth
    return np.asarray(luma if depth == 8 else (luma >> (depth - 8)), np.uint8)
