"""Objects at full resolution: refined by the picture, steadied over time."""

from __future__ import annotations

from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from stream.compositing import learned
from stream.compositing.planes import Planes, readable_planes
from stream.compositing.refine import Region, refine, regions
from stream.compositing.soft import Soft, pasted
from stream.compositing.steady import Steady
from stream.instances import Instances


class Care(NamedTuple):
    """What is done for edges.

    Attributes:
        refine: whether they are drawn to the picture's own.
        steady: whether they lie still where the picture does.
        learned: whether those of classes that a network learnt are drawn by it.
    """

    refine: bool
    steady: bool
    learned: bool = True

    @property
    def any(self) -> bool:
        """Whether there is something to do."""
        return self.refine or self.steady


class Edges:
    """Makes masks at full resolution, frame after frame. One thread at a time."""

    def __init__(self) -> None:
        self._steady: dict[Care, Steady] = {}

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
        size = planes.size
        masks, boxes = instances.masks, instances.paste_boxes
        cells = (masks.shape[1], masks.shape[2])
        known = learned.bundled() if care.refine and care.learned else None
        drawn: list[Region | None] = [None] * len(boxes)
        if known is not None:
            names = np.array([name in known.classes for name in instances.names], np.bool_)
            drawn = learned.regions(names, boxes, cells, size, planes.grid)
        rest = np.array([region is None for region in drawn], np.bool_)
        seen: list[Region | None] = [None] * len(boxes)
        if care.refine:
            others = iter(regions(boxes[rest], cells, size, planes.grid))
            seen = [next(others) if region is None else None for region in drawn]
        found: list[Soft | None] = []
        for mask, box, by_learned, by_filter in zip(masks, boxes, drawn, seen, strict=True):
            if known is not None and by_learned is not None:
                found.append(learned.refine(known, planes, by_learned, mask, box, threshold))
            elif by_filter is not None:
                found.append(refine(planes, by_filter, mask, box, threshold))
            else:
                found.append(pasted(mask, box, size, threshold))
        if care.steady:
            steady = self._steady.setdefault(care, Steady())
            found = steady(_luma(planes), instances, found, seconds)
        return found


def _luma(planes: Planes) -> NDArray[np.uint8]:
    luma, depth = planes.samples[0], planes.encoding.depth
    return np.asarray(luma if depth == 8 else (luma >> (depth - 8)), np.uint8)
