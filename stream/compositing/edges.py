"""Objects at full resolution: refined by the picture, steadied over time."""

from __future__ import annotations

from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from stream.compositing.planes import Planes, readable_planes
from stream.compositing.refine import refine, regions
from stream.compositing.soft import Soft, pasted
from stream.compositing.steady import Steady
from stream.instances import Instances


class Care(NamedTuple):
    """What is done for edges.

    Attributes:
        refine: whether they are drawn to the picture's own.
        steady: whether they lie still where the picture does.
    """

    refine: bool
    steady: bool


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
        found: list[Soft | None] = []
        seen = regions(boxes, cells, size, planes.grid) if care.refine else [None] * len(boxes)
        for mask, box, region in zip(masks, boxes, seen, strict=True):
            if region is None:
                found.append(pasted(mask, box, size, threshold))
            else:
                found.append(refine(planes, region, mask, box, threshold))
        if care.steady:
            steady = self._steady.setdefault(care, Steady())
            found = steady(_luma(planes), instances, found, seconds)
        return found


def _luma(planes: Planes) -> NDArray[np.uint8]:
    luma, depth = planes.samples[0], planes.encoding.depth
    return np.asarray(luma if depth == 8 else (luma >> (depth - 8)), np.uint8)
