"""Objects followed by where they are heading, whatever the rate of inference."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances, box_iou
from stream.tracking.appearance import alike
from stream.tracking.association import (
    LIVING,
    best_pairs,
    buffered_iou,
    mask_cover,
    with_part,
)
from stream.tracking.base import ROUNDING, Elapsed, Known, Tracker, remembered

CONFIRM = 0.08
"""Seconds over which a new object is found, twice at least, before it is shown and has a number.
What detectors make up lasts for a few pictures of footage."""

CERTAIN = 0.9
"""From this score on a new object is shown at once: who walks in is not to wait."""

MEMORY = 3.0
"""Seconds for which an object that is gone is remembered."""

_PART = 0.3
"""As `CONFIRM`, for what lies within a known object of its class: mostly a limb found once more."""

_GAP = 0.1
"""Seconds, or one inference, by which a new object may be missed while it is not confirmed."""

_NEAR, _NEAR_PER_SECOND = 0.3, 3.0
"""By which share of their size boxes are enlarged to see whether they overlap where the object is
expected: at most, and for every second since it was seen."""

_FAR, _FARTHER = 0.8, 0.5
"""The same where it is looked for more widely, and by how much more for every second."""

_SAME, _SAME_DOUBTED, _SAME_FAR = 0.25, 0.4, 0.2
"""Overlaps (IoU) of such boxes from which on they show the same object: in the first search for
what is sure and for what is doubted, and in the wide one."""

_OTHER_CLASS = 0.8
"""Weight of an overlap with an object that was never taken for this class."""

_OTHER_KIND = 0.45
"""A dog is a cat now and then, and a car a bus. Who lives is a thing, or a thing lives, only where
boxes overlap by this (IoU) with where it is expected: a bicycle that somebody walked past is none
of him."""

_LIKENESS, _INDIFFERENT = 3.0, 0.7
"""An overlap weighs more, by this times how much more alike the colours are than strangers' often
are, and less where they are less alike: it decides between two who cross."""

_ALONE, _RIVAL = 0.7, 0.2
"""A box that overlaps so much with where one object was, and no more than this with any other, is
that object whatever its colours: the light may have changed."""

_BACK, _BACK_ALIKE = 0.6, 0.8
"""What was seen in another scene is there again where a box of its class overlaps its last one by
the first (IoU) and is as alike in colours as the second: somebody stood before the camera, or the
film is back."""

_HABIT = 0.6
"""Seconds over which an object's colours are averaged."""

_COVERED, _TWICE = 0.6, 0.6
"""What is covered by another's mask to this share is part of it; where both masks overlap by this
(IoU), one object was found twice."""

_WITHIN, _FOOT = 0.9, 0.1
"""So is what lies within its box to the first share and ends where it ends below, give or take the
second share of its height: mostly a leg that its own mask leaves out."""

_SMOOTHING = 0.15
"""Seconds over which speed is averaged."""

_INERTIA = 0.7
"""Seconds for which an object is expected to keep its speed, falling off exponentially."""

_VOTE = 2.0
"""Seconds over which the class is voted on, falling off exponentially."""


@dataclasses.dataclass(eq=False)
class _Object(Known):
    """An object that was seen.

    Attributes:
        votes: how much it was taken for each class, by label.
        first_seen: when it was found first, in seconds.
        patience: seconds over which it must be found to be confirmed.
        velocity: float32 [2], of its centre, pixels per second.
        colours: float32 [K], shares that add up to 1; None where they are not known.
        scene: in which it was found last.
    """

    votes: dict[int, float]
    first_seen: float
    patience: float
    velocity: NDArray[np.float32]
    colours: NDArray[np.float32] | None
    scene: int

    def take(self, candidates: Instances, index: int, seconds: float, *, sure: bool) -> None:
        """Is found again as one of the candidates."""
        box, label = candidates.boxes[index], int(candidates.labels[index])
        gap = seconds - self.seen
        if gap > ROUNDING:
            moved = box - self.box
            speed = (moved[:2] + moved[2:]) * np.float32(0.5 / gap)
            weight = np.float32(1 - math.exp(-gap / _SMOOTHING))
            self.velocity = self.velocity + weight * (speed - self.velocity)
            fade = math.exp(-gap / _VOTE)
            self.votes = {one: fade * weight for one, weight in self.votes.items()}
            if candidates.colours is not None and self.colours is not None:
                weight = np.float32(1 - math.exp(-gap / _HABIT))
                self.colours = self.colours + weight * (candidates.colours[index] - self.colours)
        self.votes[label] = self.votes.get(label, 0.0) + float(candidates.scores[index])
        self.scene = candidates.scene
        self.found(box, seconds, sure=sure)

    @property
    def label(self) -> int:
        """The class that it was taken for most."""
        return max(self.votes, key=lambda label: self.votes[label])


class Motion(Tracker):
    """Matches boxes where each object is expected by its speed, first the sure ones (ByteTrack).

    Of several that overlap, what is of an object's colours is that object.

    What is not found there is looked for farther off, the longer it has been gone the farther. An
    object whose class wavers is one object, with the class that it was taken for most. New objects
    are shown once they are confirmed; see `CONFIRM` and `CERTAIN`. Those of the first picture are
    shown at once.
    """

    floor: ClassVar[float] = 0.7
    lookahead: ClassVar[float] = CONFIRM
    colours: ClassVar[bool] = True

    def __init__(self) -> None:
        self._known: list[_Object] = []
        self._identities = 0
        self._elapsed = Elapsed()

    def update(
        self,
        candidates: Instances,
        seconds: float,
        threshold: float,
        following: Sequence[tuple[float, Instances]] = (),
    ) -> Instances:
        """Those that are known or confirmed, in their order; see `Tracker.update`."""
        first = self._elapsed(seconds) is None
        if first:
            self._known.clear()
        sure = candidates.scores >= threshold
        found = self._recognise(candidates, sure, seconds)
        for index, one in list(found.items()):
            if not (sure[index] or one.stays(seconds)):
                del found[index]
                continue
            one.take(candidates, index, seconds, sure=bool(sure[index]))
            waited = seconds - one.first_seen >= one.patience - ROUNDING
            if sure[index] and not one.identity and waited:
                self._confirm(one)
        for index in np.flatnonzero(sure).tolist():
            if index not in found:
                self._meet(candidates, index, found, seconds, at_once=first)
        self._known = remembered(self._known, found.values(), lambda one: _remembers(one, seconds))
        new = [one for one in found.values() if not one.identity and one.first_seen == seconds]
        if following and new:
            self._look_ahead(following, threshold)
        shown = sorted(index for index, one in found.items() if one.identity)
        objects = [found[index] for index in shown]
        chosen = _with_parts(candidates, found).select(np.array(shown, np.int64))
        labels = np.array([one.label for one in objects], np.int64)
        identities = np.array([one.identity for one in objects], np.int64)
        return dataclasses.replace(chosen, labels=labels, track_ids=identities)

    def _confirm(self, one: _Object) -> None:
        self._identities += 1
        one.identity = self._identities

    def _recognise(
        self, candidates: Instances, sure: NDArray[np.bool_], seconds: float
    ) -> dict[int, _Object]:
        """Which candidates are which known object; each object is one candidate at most."""
        if not self._known or not len(candidates):
            return {}
        boxes = candidates.boxes
        last = np.stack([one.box for one in self._known])
        speeds = np.stack([one.velocity for one in self._known])
        gone = np.array([seconds - one.seen for one in self._known], np.float32)
        present = np.array([one.present for one in self._known])
        numbered = np.array([one.identity > 0 for one in self._known])
        coasting = np.float32(_INERTIA) * (1 - np.exp(-gone / np.float32(_INERTIA)))
        expected = last + np.tile(speeds * coasting[:, None], 2)
        weights = self._weights(candidates, last, expected)

        def near() -> NDArray[np.float32]:
            share = np.minimum(np.float32(_NEAR), np.float32(_NEAR_PER_SECOND) * gone)
            return weights * buffered_iou(boxes, expected, share)

        def far() -> NDArray[np.float32]:
            # Who turned round meanwhile is nearer to where he was than to where he was heading.
            share = np.float32(_FAR) + np.float32(_FARTHER) * np.minimum(gone, np.float32(1))
            return weights * np.maximum(
                buffered_iou(boxes, expected, share), buffered_iou(boxes, last, share)
            )

        found: dict[int, _Object] = {}
        taken: set[int] = set()
        for similarity, rows, columns, least in (
            (near, sure, numbered, _SAME),  # what has no number yet is often a part of one
            (near, sure, None, _SAME),
            (near, ~sure, present, _SAME_DOUBTED),
            (far, sure, None, _SAME_FAR),
        ):
            free_rows = [row for row in np.flatnonzero(rows).tolist() if row not in found]
            free = [
                column
                for column in range(len(self._known))
                if column not in taken and (columns is None or columns[column])
            ]
            if not (free_rows and free):
                continue
            for row, column in best_pairs(similarity()[np.ix_(free_rows, free)], least):
                found[free_rows[row]] = self._known[free[column]]
                taken.add(free[column])
        return found

    def _weights(
        self, candidates: Instances, last: NDArray[np.float32], expected: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """How each candidate's overlaps with the known ones weigh, by class, colours and scene."""
        known_class = np.array(
            [[label in one.votes for one in self._known] for label in candidates.labels.tolist()],
        )
        living = np.array([name in LIVING for name in candidates.class_names])
        theirs = living[[one.label for one in self._known]]
        maybe = living[candidates.labels][:, None] == theirs
        maybe |= box_iou(candidates.boxes, expected) > _OTHER_KIND
        weights = np.where(known_class, 1, maybe * np.float32(_OTHER_CLASS)).astype(np.float32)
        overlaps = box_iou(candidates.boxes, last)
        back = known_class & (overlaps > _BACK)
        looks = [(place, one.colours) for place, one in enumerate(self._known)]
        places = [place for place, colours in looks if colours is not None]
        if candidates.colours is not None and places:
            theirs = np.stack([colours for _, colours in looks if colours is not None])
            likeness = alike(candidates.colours, theirs)
            back[:, places] &= likeness > _BACK_ALIKE
            more = np.ones_like(weights)
            more[:, places] += np.float32(_LIKENESS) * (likeness - np.float32(_INDIFFERENT))
            more = np.maximum(more, np.float32(0.05))
            weights *= np.where(_undisputed(overlaps), np.maximum(more, 1), more)
        elsewhere = np.array([one.scene != candidates.scene for one in self._known])
        return np.where(elsewhere & ~back, np.float32(0), weights)

    def _meet(
        self,
        candidates: Instances,
        index: int,
        found: dict[int, _Object],
        seconds: float,
        *,
        at_once: bool,
    ) -> None:
        """Takes a candidate that nobody is for a new object, unless it is one found twice."""
        box, label = candidates.boxes[index], int(candidates.labels[index])
        whole, twice = _whole_of(candidates, index, found)
        if twice:
            return
        patience = CONFIRM if whole is None else _PART
        score = float(candidates.scores[index])
        still = np.zeros(2, np.float32)
        colours = None if candidates.colours is None else candidates.colours[index]
        new = _Object(
            identity=0,
            box=box,
            votes={label: score},
            first_seen=seconds,
            seen=seconds,
            sure=seconds,
            patience=patience,
            velocity=still,
            colours=colours,
            scene=candidates.scene,
        )
        if at_once or (score >= CERTAIN and patience == CONFIRM):
            self._confirm(new)
        self._known.append(new)
        found[index] = new

    def _look_ahead(self, following: Sequence[tuple[float, Instances]], threshold: float) -> None:
        """Confirms now whom the next frames will confirm."""
        waiting = [place for place, one in enumerate(self._known) if not one.identity]
        later = copy.deepcopy(self)
        theirs = [later._known[place] for place in waiting]
        for seconds, candidates in following:
            later.update(candidates, seconds, threshold)
            for place, one in zip(waiting, theirs, strict=True):
                if one.identity and not self._known[place].identity:
                    self._confirm(self._known[place])


def _with_parts(candidates: Instances, found: Mapping[int, _Object]) -> Instances:
    """The candidates, those that are shown with what was found of them besides: a leg, a half."""
    for index, one in found.items():
        if not one.identity and one.patience == _PART:
            whole, _ = _whole_of(candidates, index, found)
            if whole is not None:
                candidates = with_part(candidates, whole, index)
    return candidates


def _whole_of(
    candidates: Instances, index: int, found: Mapping[int, _Object]
) -> tuple[int | None, bool]:
    """Of which shown object a candidate is a part, if of any; and whether it is one found twice."""
    box, label = candidates.boxes[index], int(candidates.labels[index])
    whole = None
    for other, one in found.items():
        within = _share(box, candidates.boxes[other])
        if not one.identity or within <= _COVERED / 2:
            continue
        covered, overlap = mask_cover(candidates, index, other)
        if overlap > _TWICE:
            return other, True
        theirs = candidates.boxes[other]
        foot = abs(box[3] - theirs[3]) <= _FOOT * (theirs[3] - theirs[1])
        if label in one.votes and (covered > _COVERED or (within > _WITHIN and foot)):
            whole = other
    return whole, False


def _remembers(one: _Object, seconds: float) -> bool:
    limit = MEMORY if one.identity else _GAP
    return seconds - one.seen <= limit + ROUNDING


def _share(box: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Which share of a box lies in another, 0..1."""
    low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
    area = float(np.prod(np.maximum(box[2:] - box[:2], 1e-3)))
    return float(np.prod(np.clip(high - low, 0, None))) / area


def _undisputed(overlaps: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which pairs overlap with each other alone; `overlaps` are IoU, float32 (N, M)."""
    close = overlaps > _RIVAL
    alone = (close.sum(0, keepdims=True) <= 1) & (close.sum(1, keepdims=True) <= 1)
    undisputed: NDArray[np.bool_] = alone & (overlaps >= _ALONE)
    return undisputed
