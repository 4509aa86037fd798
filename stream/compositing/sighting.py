"""Who was found in a frame, for layers that remember it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.compositing.coverage import Mask, raised
from stream.compositing.scenery import Glance
from stream.instances import Instances
from stream.pictures.sizes import in_another_size

_NO_BOXES = np.empty((0, 4), np.float32)


class Seen(NamedTuple):
    """An object as it was last found, and the picture; `sure` once it reached the threshold."""

    identity: int | None
    box: NDArray[np.float32]
    mask: Mask
    mask_box: NDArray[np.float32]
    seconds: float
    glance: Glance
    sure: bool = True

    def resized(self, before: tuple[int, int], after: tuple[int, int]) -> Seen:
        """Where a picture of another (height, width) shows the same."""
        return self._replace(
            box=in_another_size(self.box, before, after),
            mask_box=in_another_size(self.mask_box, before, after),
        )


class Sighting(NamedTuple):
    """All that were found in one frame, of which mostly nobody asks for one.

    Attributes:
        identities: of the N, None where nothing tracks.
        boxes: float32 [N, 4] in pixels of the picture, finite.
        masks: float32 [N, M, M], 0..1.
        mask_boxes: float32 [N, 4], where masks lie, finite.
        seconds: when.
        glance: the picture.
        sure: whether they reached the threshold.
    """

    identities: Sequence[int | None]
    boxes: NDArray[np.float32]
    masks: NDArray[np.float32]
    mask_boxes: NDArray[np.float32]
    seconds: float
    glance: Glance | None
    sure: bool = True

    def each(self) -> Iterator[Seen]:
        """One after the other."""
        if self.glance is not None and len(self.masks):
            masks = raised(self.masks)
            common = (self.seconds, self.glance, self.sure)
            for index, identity in enumerate(self.identities):
                own = (self.boxes[index], masks[index], self.mask_boxes[index])
                yield Seen(identity, *own, *common)

    def all_in(self, later: Sighting) -> bool:
        """Whether each of them has a number that one of a later frame has."""
        own = set(self.identities)
        return None not in own and own.issubset(later.identities)


_NO_MASKS = np.empty((0, 1, 1), np.float32)

NOBODY = Sighting((), _NO_BOXES, _NO_MASKS, _NO_BOXES, -math.inf, None)


def sighted(instances: Instances, now: float, glance: Glance, *, sure: bool) -> Sighting:
    """Those of a frame whose places are numbers.

    Args:
        instances: that were found.
        now: the frame's time in seconds.
        glance: its picture.
        sure: whether they reached the threshold.
    """
    count = len(instances)
    if not count:
        return NOBODY
    ids = [None] * count if instances.track_ids is None else instances.track_ids.tolist()
    boxes, places, masks = instances.boxes, instances.paste_boxes, instances.masks
    # A few numbers are looked at sooner one by one.
    sums = map(sum, (boxes if places is boxes else np.hstack([boxes, places])).tolist())
    finite = [math.isfinite(one) for one in sums]
    if not all(finite):
        ids = [one for one, good in zip(ids, finite, strict=True) if good]
        boxes, places, masks = boxes[finite], places[finite], masks[finite]
    return Sighting(ids, boxes, masks, places, now, glance, sure)
