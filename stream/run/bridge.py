"""Short gaps in what footage shows of an object, filled between two sightings of it.

A model misses somebody in a frame or two who is plainly there before and after. Painted so, what is
behind him flashes through. Where what follows is known he is shown in between: his box and his soft
mask half of the way where half of the time has passed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances
from stream.objects.instance_arrays import ranked
from stream.run.figures import Job, Work
from stream.run.room import MOST_HELD, bytes_waiting
from stream.tracking.base import ROUNDING

GAP = 0.15
"""Seconds from one sighting to the next at most: up to three frames of thirty a second are filled.
Whoever is away for longer may have walked behind something."""


@dataclass(slots=True)
class _Told:
    """A frame that has its instances, and what came after it."""

    job: Job
    scene: int
    after: list[Work] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return self.job.frame.pts_seconds

    @property
    def instances(self) -> Instances:
        found = self.job.frame.instances
        assert found is not None
        return found


class Bridge:
    """Holds frames back for as long as a gap may last, and fills those that end meanwhile."""

    def __init__(self) -> None:
        self._held: deque[_Told] = deque()

    def put(self, job: Job, scene: int) -> Iterator[Work]:
        """Takes the next frame with its instances; gives those that no gap can reach any more.

        Args:
            job: of a frame that was inferred.
            scene: that the frame belongs to; nothing is filled across its border.
        """
        told = _Told(job, scene)
        if self._held and not 0 < told.seconds - self._held[-1].seconds <= GAP + ROUNDING:
            yield from self.flush()
        self._held.append(told)
        self._fill()
        while self._held[0] is not told and self._ready(told.seconds):
            yield from self._release()

    def put_after(self, item: Work) -> Iterator[Work]:
        """Takes what keeps its place behind the frames before it."""
        if not self._held:
            yield item
            return
        self._held[-1].after.append(item)
        # Whoever is seen next is seen later than this. With rare inferences it may take long.
        if isinstance(item, Job):
            while self._held and self._ready(item.frame.pts_seconds):
                yield from self._release()

    def flush(self) -> Iterator[Work]:
        """Gives all that is held: nothing follows."""
        while self._held:
            yield from self._release()

    def _ready(self, now: float) -> bool:
        if now - self._held[0].seconds >= GAP - ROUNDING:
            return True
        return bytes_waiting(self._held) > MOST_HELD // 2

    def _release(self) -> Iterator[Work]:
        told = self._held.popleft()
        yield told.job
        yield from told.after

    def _fill(self) -> None:
        """Shows whoever is back in the frames in which he was missed."""
        last, *earlier = reversed(self._held)
        ids = last.instances.track_ids
        for place, identity in enumerate([] if ids is None else ids.tolist()):
            missed: list[_Told] = []
            for one in earlier:
                if one.scene != last.scene or last.seconds - one.seconds > GAP + ROUNDING:
                    break
                before = _place(one.instances, identity)
                if before is None:
                    missed.append(one)
                    continue
                for told in missed:
                    share = (told.seconds - one.seconds) / (last.seconds - one.seconds)
                    between = _between(one.instances, before, last.instances, place, share)
                    told.job.frame.instances = _with(told.instances, between)
                break


def _place(found: Instances, identity: int) -> int | None:
    if found.track_ids is None:
        return None
    there = np.flatnonzero(found.track_ids == identity)
    return int(there[0]) if len(there) else None


def _between(
    before: Instances, first: int, after: Instances, second: int, share: float
) -> Instances:
    """An object between two sightings, as far on its way as `share` says, 0..1."""

    def mixed(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
        made: NDArray[np.float32] = (1 - share) * one[[first]] + share * other[[second]]
        return made.astype(np.float32)

    return replace(
        after.select([second]),
        boxes=mixed(before.boxes, after.boxes),
        masks=mixed(before.masks, after.masks),
        mask_boxes=mixed(before.paste_boxes, after.paste_boxes),
        scores=np.minimum(before.scores[[first]], after.scores[[second]]),
        unsure=None,
    )


def _with(found: Instances, one: Instances) -> Instances:
    """A frame's instances with one more that has an identity, best first."""
    if not len(found):
        return replace(one, unsure=found.unsure)
    if found.track_ids is None or one.track_ids is None:
        return found
    return ranked([found, one], found)
