"""Objects from picture to picture: they stay while their score dips, and keep their identity."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances, box_iou

if TYPE_CHECKING:
    from stream.inference.postprocess import Raw
    from stream.inference.preprocess import Prepared
    from stream.inference.segmenter import Segmenter

SHARE = 0.7
"""What is in view stays down to this share of the threshold: on real clips enough to close nearly
all gaps; below it little but shadows is kept."""

PATIENCE = 15
"""Pictures in a row that an object stays for without once reaching the threshold itself."""

MEMORY = 30
"""Pictures for which an object that is gone is remembered, should it come back in its place."""

_SAME = 0.4
"""Boxes of two pictures that overlap by this (IoU) show the same object."""


@dataclasses.dataclass
class _Known:
    """An object seen before: its last box (4,), and pictures in a row of doubt and of absence."""

    identity: int
    box: NDArray[np.float32]
    label: int
    doubted: int = 0
    absent: int = 0


class Steady:
    """Chooses which of a picture's candidates are shown, and says which is which.

    New objects must reach the threshold. One that was shown in the picture before, in about the
    same place and of the same class, is kept down to `SHARE` of it, for `PATIENCE` pictures at
    most: detectors doubt for single frames, and masks that come and go are worse than a mask that
    is a little unsure. Called for the pictures of one run, in order.
    """

    def __init__(self) -> None:
        self._known: list[_Known] = []
        self._identities = 0

    def finish(self, segmenter: Segmenter, raw: Raw, prepared: Prepared) -> Instances:
        """As `Segmenter.finish`, for the next picture of the run."""
        threshold = segmenter.threshold
        return self.choose(segmenter.finish(raw, prepared, SHARE * threshold), threshold)

    def choose(self, candidates: Instances, threshold: float) -> Instances:
        """Those of `candidates` that are shown, in their order, with identities from 1 on.

        Args:
            candidates: down to `SHARE` of the threshold, best first.
            threshold: what new objects must reach, 0..1.
        """
        sure = candidates.scores >= threshold
        known = self._recognise(candidates, sure)
        shown: list[int] = []
        for before in self._known:
            before.absent += 1
        for index in range(len(candidates)):
            one = known.get(index)
            if one is None:
                if not sure[index]:
                    continue
                self._identities += 1
                label = int(candidates.labels[index])
                one = known[index] = _Known(self._identities, candidates.boxes[index], label)
                self._known.append(one)
            elif sure[index]:
                one.doubted = 0
            elif one.absent > 1 or one.doubted >= PATIENCE:
                continue
            else:
                one.doubted += 1
            one.box, one.absent = candidates.boxes[index], 0
            shown.append(index)
        self._known = [one for one in self._known if one.absent <= MEMORY]
        identities = np.array([known[index].identity for index in shown], np.int64)
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
