"""Objects from picture to picture: they stay while their score dips, and keep their identity."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances, box_iou
from stream.tracking.base import ROUNDING, Elapsed, Known, Sizes, Tracker, remembered

MEMORY = 1.2
"""Seconds for which an object that is gone is remembered, should it come back in its place."""

_SAME = 0.4
"""Boxes of two pictures that overlap by this (IoU) show the same object."""


@dataclasses.dataclass(eq=False)
class _Labelled(Known):
    """An object seen before, of the class `label`."""

    label: int


class Steady(Tracker):
    """Keeps what is in about the same place: for objects that move little between inferences.

    New objects must reach the threshold. One that was shown in the picture before, in about the
    same place and of the same class, is kept down to `floor` of it, for `DOUBT` seconds at most:
    detectors doubt for single frames, and masks that come and go are worse than a mask that is a
    little unsure.
    """

    floor: ClassVar[float] = 0.7
    """On real clips enough to close nearly all gaps; below it little but shadows is kept."""

    def __init__(self) -> None:
        self._known: list[_Labelled] = []
        self._identities = 0
        self._elapsed = Elapsed()
        self._sizes = Sizes()

    def update(
        self,
        candidates: Instances,
        seconds: float,
        threshold: float,
        following: Sequence[tuple[float, Instances]] = (),
    ) -> Instances:
        """Those that are sure or were there, in their order; see `Tracker.update`."""
        if self._elapsed(seconds, candidates.scene) is None:
            self._known.clear()
        self._sizes.follow(candidates, self._known)
        sure = candidates.scores >= threshold
        known = self._recognise(candidates, sure)
        shown: list[int] = []
        present: list[_Labelled] = []
        for index in range(len(candidates)):
            one = known.get(index)
            if one is None:
                if not sure[index]:
                    continue
                self._identities += 1
                label = int(candidates.labels[index])
                one = _Labelled(self._identities, candidates.boxes[index], seconds, seconds, label)
                self._known.append(one)
            elif not (sure[index] or one.stays(seconds)):
                continue
            one.found(candidates.boxes[index], seconds, sure=bool(sure[index]))
            present.append(one)
            shown.append(index)
        self._known = remembered(
            self._known, present, lambda one: seconds - one.seen <= MEMORY + ROUNDING
        )
        identities = np.array([one.identity for one in present], np.int64)
        return candidates.select(np.array(shown, np.int64)).with_tracks(identities)

    def _recognise(self, candidates: Instances, sure: NDArray[np.bool_]) -> dict[int, _Labelled]:
        """Which candidates are which known object; each object is one candidate at most.

        The sure ones choose first, so that a second answer for an object that is there does not
        keep another's place.
        """
        if not self._known:
            return {}
        boxes = np.stack([one.box for one in self._known])
        labels = np.array([one.label for one in self._known])
        overlaps = box_iou(candidates.boxes, boxes)
        overlaps *= candidates.labels[:, None] == labels[None]
        found: dict[int, _Labelled] = {}
        for rows in (np.flatnonzero(sure), np.flatnonzero(~sure)):
            while len(rows):
                row, column = np.unravel_index(overlaps[rows].argmax(), (len(rows), len(labels)))
                index = int(rows[row])
                if overlaps[index, column] <= _SAME:
                    break
                found[index] = self._known[column]
                overlaps[index] = overlaps[:, column] = 0.0
        return found
