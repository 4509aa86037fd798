"""Which candidates are parts of a known object: legs, arms, halves, the whole once more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances
from stream.tracking.association import covered_by, mask_cover
from stream.tracking.trackers._followed import Followed

_COVERED, _TWICE = 0.6, 0.6
"""What is covered by another's mask to this share is part of it; where both masks overlap by this
(IoU), one object was found twice."""

_CARRIED = 0.6
"""So is what lay to this share within its mask a moment ago, and is found for itself now."""

_WITHIN, _FOOT = 0.9, 0.1
"""So is what lies within its box to the first share and ends where it ends below, give or take the
second share of its height: mostly a leg that its own mask leaves out."""


class Part(NamedTuple):
    """Of what a candidate is a part.

    Attributes:
        whole: the candidate that is the whole.
        twice: whether it is the whole itself, found once more.
    """

    whole: int
    twice: bool = False


def part_of(
    candidates: Instances, index: int, found: Mapping[int, Followed], seconds: float, least: float
) -> Part | None:
    """Of which object that has a number a candidate is a part, if of any.

    Args:
        candidates: of a picture.
        index: which of them.
        found: which of them are which object.
        seconds: when that is.
        least: what is less sure than this (0..1) is not known well enough to have parts.
    """
    box, label = candidates.boxes[index], int(candidates.labels[index])
    part = None
    for other, one in found.items():
        if not one.identity or other == index or candidates.scores[other] < least:
            continue
        theirs = candidates.boxes[other]
        within = _share(box, theirs)
        if within > _COVERED / 2:
            covered, overlap = mask_cover(candidates, index, other)
            if overlap > _TWICE:
                return Part(other, twice=True)
            foot = abs(box[3] - theirs[3]) <= _FOOT * (theirs[3] - theirs[1])
            if label in one.votes and (covered > _COVERED or (within > _WITHIN and foot)):
                part = Part(other)
                continue
        if part is None and label in one.votes:
            carried = (covered_by(candidates, index, was) for was in one.carried(seconds))
            if any(share > _CARRIED for share in carried):
                part = Part(other)
    return part


def _share(box: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Which share of a box lies in another, 0..1."""
    low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
    area = float(np.prod(np.maximum(box[2:] - box[:2], 1e-3)))
    return float(np.prod(np.clip(high - low, 0, None))) / area
