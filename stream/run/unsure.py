"""What may be in a frame besides what is shown: layers that cover objects cover it too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stream.instances import UNSURE, Instances, box_iou

FLOOR = UNSURE
"""Down to which share of the threshold candidates count."""

BETWEEN = 0.25
"""The same of frames that stand for those around them as well: who is seen by that share in some of
these may be seen a little less surely in the one that the model looks at."""

AHEAD = 0.2
"""Seconds of footage that are looked ahead into for who is about to come."""

_SAME = 0.3
"""Boxes of frames this near to each other that overlap by this (IoU) show the same object."""


def unsure_of(
    candidates: Instances,
    shown: Instances,
    threshold: float,
    following: Sequence[tuple[float, Instances]] = (),
    floor: float = FLOOR,
) -> Instances:
    """The candidates that are not shown, whatever the reason, and who is about to come.

    Who walks in is there before the model sees it; in footage the next frames say where.

    Args:
        candidates: of a frame, best first; those below `floor` of the threshold are left out.
        shown: some of them, in their order.
        threshold: from which score on the following are believed, 0..1.
        following: candidates of the next frames, with their times.
        floor: down to which share of the threshold candidates count.

    Returns:
        Instances of the frame's picture, best first, without identities.
    """
    enough = candidates.scores >= floor * threshold
    left = candidates.select(_not_among(candidates, shown) & enough)
    coming: list[Instances] = []
    known = candidates.boxes
    for _, found in following:
        there = found.select(found.scores >= threshold)
        if not len(there):
            continue
        new = np.ones(len(there), np.bool_)
        if len(known):
            new = box_iou(there.boxes, known).max(axis=1) < _SAME
        if new.any():
            coming.append(there.select(new))
            known = np.concatenate([known, coming[-1].boxes])
    return left.joined(coming)


def looked_at(found: Instances, threshold: float) -> Instances:
    """What is to be said of a frame that the model has looked at itself, of what stands for others.

    Args:
        found: with what is unsure, down to `BETWEEN`.
        threshold: the model's.
    """
    doubts = found.unsure
    if doubts is None:
        return found
    enough = doubts.scores >= FLOOR * threshold
    return found if enough.all() else replace(found, unsure=doubts.select(enough))


def anybody(size: tuple[int, int]) -> Instances:
    """What is to be said of a frame of which nothing is known: all of it may be somebody.

    Args:
        size: height and width of the picture.
    """
    height, width = size
    whole = Instances(
        boxes=np.array([[0, 0, width, height]], np.float32),
        scores=np.zeros(1, np.float32),
        labels=np.zeros(1, np.int64),
        masks=np.ones((1, 28, 28), np.float32),
        class_names=("object",),
        picture_size=size,
    )
    return replace(Instances.empty((), size), unsure=whole)


def doubting(found: Instances | None, others: Instances | None) -> Instances | None:
    """What is found in a frame, with others that may be there as unsure.

    Args:
        found: what is shown; None where nothing is known of the frame.
        others: of the same picture, with what is unsure of them; None for none.
    """
    if others is None:
        return found
    sure = replace(others, unsure=None)
    if found is None:
        found = replace(sure.select([]), unsure=None)
    known = found.select([]) if found.unsure is None else found.unsure
    parts = [one for one in (sure, others.unsure) if one is not None and len(one)]
    return replace(found, unsure=known.joined(parts)) if parts else found


def _not_among(candidates: Instances, shown: Instances) -> NDArray[np.bool_]:
    left = np.ones(len(candidates), np.bool_)
    place = 0
    for index, box in enumerate(candidates.boxes):
        if place < len(shown) and np.array_equal(box, shown.boxes[place]):
            left[index] = False
            place += 1
    return left
