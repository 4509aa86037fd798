"""Hysteresis: an object in view stays in view while its score dips for a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances

if TYPE_CHECKING:
    from stream.inference.postprocess import Raw
    from stream.inference.preprocess import Prepared
    from stream.inference.segmenter import Segmenter

SHARE = 0.7
"""What is in view stays down to this share of the threshold: on real clips enough to close nearly
all gaps; below it little but shadows is kept."""

PATIENCE = 15
"""Pictures in a row that an object stays for without once reaching the threshold itself."""

_SAME = 0.4
"""Boxes of two pictures that overlap by this (IoU) show the same object."""


class Steady:
    """Chooses which of a picture's candidates are shown.

    New objects must reach the threshold. One that was shown in the picture before, in about the
    same place and of the same class, is kept down to `SHARE` of it, for `PATIENCE` pictures at
    most: detectors doubt for single frames, and masks that come and go are worse than a mask that
    is a little unsure. Called for the pictures of one run, in order.
    """

    def __init__(self) -> None:
        self._boxes = np.zeros((0, 4), np.float32)
        self._labels = np.zeros(0, np.int64)
        self._doubts = np.zeros(0, np.int64)

    def finish(self, segmenter: Segmenter, raw: Raw, prepared: Prepared) -> Instances:
        """As `Segmenter.finish`, for the next picture of the run."""
        threshold = segmenter.threshold
        return self.choose(segmenter.finish(raw, prepared, SHARE * threshold), threshold)

    def choose(self, candidates: Instances, threshold: float) -> Instances:
        """Those of `candidates` that are shown, in their order.

        Args:
            candidates: down to `SHARE` of the threshold, best first.
            threshold: what new objects must reach, 0..1.
        """
        sure = candidates.scores >= threshold
        overlaps = _overlaps(candidates.boxes, self._boxes)
        overlaps *= candidates.labels[:, None] == self._labels[None]
        shown: list[int] = []
        doubts: list[int] = []
        for index in range(len(candidates)):
            before = int(overlaps[index].argmax()) if overlaps.size else 0
            known = bool(overlaps.size and overlaps[index, before] > _SAME)
            if known:
                # The best candidate takes its object: what is left cannot stand for it too.
                overlaps[:, before] = 0.0
            if sure[index]:
                shown.append(index)
                doubts.append(0)
            elif known and self._doubts[before] < PATIENCE:
                shown.append(index)
                doubts.append(int(self._doubts[before]) + 1)
        chosen = candidates.select(np.array(shown, np.int64))
        self._boxes, self._labels = chosen.boxes, chosen.labels
        self._doubts = np.array(doubts, np.int64)
        return chosen


def _overlaps(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """IoU of every box (N, 4) with every other (M, 4), float32 (N, M) in 0..1."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.asarray(shared / np.maximum(union, 1e-6), np.float32)
