"""Objects from picture to picture: they stay while their score dips, and keep their identity."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances, box_iou
from stream.tracking.base import Elapsed, Tracker

DOUBT = 0.6
"""Seconds that an object stays for without once reaching the threshold itself."""

MEMORY = 1.2
"""Seconds for which an object that is gone is remembered, should it come back in its place."""

_SAME = 0.4
"""Boxes of two pictures that overlap by this (IoU) show the same object."""

_ROUNDING = 1e-3
"""Seconds by which timestamps may be off."""


@dataclasses.dataclass
class _Known:
    """An object seen before.

    Attributes:
        box: float32 [4], its last box.
        seen: when it was shown last, in seconds.
        sure: when it reached the threshold last, in seconds.
        doubted: whether it was shown since without reaching it.
        present: whether it was shown at the last inference.
    """

    identity: int
    box: NDArray[np.float32]
    label: int
    seen: float
    sure: float
    doubted: bool = False
    present: bool = True


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
        self._known: list[_Known] = []
        self._identities = 0
        self._elapsed = Elapsed()
        self._scene = 0

    def update(
        self,
        candidates: Instances,
        seconds: float,
        threshold: float,
        following: Sequence[tuple[float, Instances]] = (),
    ) -> Instances:
        """Those that are sure or were there, in their order; see `Tracker.update`."""
        if self._elapsed(seconds) is None or candidates.scene != self._scene:
            self._known.clear()
        self._scene = candidates.scene
        sure = candidates.scores >= threshold
        known = self._recognise(candidates, sure)
        shown: list[int] = []
        present: list[_Known] = []
        for index in range(len(candidates)):
            one = known.get(index)
            if one is None:
                if not sure[index]:
                    continue
                self._identities += 1
                label = int(candidates.labels[index])
                box = candidates.boxes[index]
                one = _Known(self._identities, box, label, seconds, seconds)
                self._known.append(one)
            elif not (sure[index] or _stays(one, seconds)):
                continue
            one.box, one.seen, one.doubted = candidates.boxes[index], seconds, not sure[index]
            if sure[index]:
                one.sure = seconds
            present.append(one)
            shown.append(index)
        self._known = [one for one in self._known if seconds - one.seen <= MEMORY + _ROUNDING]
        for one in self._known:
            one.present = False
        for one in present:
            one.present = True
        identities = np.array([one.identity for one in present], np.int64)
        return candidates.select(np.array(shown, np.int64)).with_tracks(identities)

    def _recognise(self, candidates: Instances, sure: NDArray[np.bool_]) -> dict[int, _Known]:
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
        found: dict[int, _Known] = {}
        for rows in (np.flatnonzero(sure), np.flatnonzero(~sure)):
            while len(rows):
                row, column = np.unravel_index(overlaps[rows].argmax(), (len(rows), len(labels)))
                index = int(rows[row])
                if overlaps[index, column] <= _SAME:
                    break
                found[index] = self._known[column]
                overlaps[index] = overlaps[:, column] = 0.0
        return found


def _stays(one: _Known, seconds: float) -> bool:
    """Whether an object that does not reach the threshold is shown all the same, once at least."""
    return one.present and (not one.doubted or seconds - one.sure <= DOUBT + _ROUNDING)
