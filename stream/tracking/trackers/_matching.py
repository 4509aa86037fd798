"""Which candidates are which object: by where each is heading, what it is, and its colours."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances, box_iou
from stream.tracking.appearance import alike
from stream.tracking.association import LIVING, best_pairs, buffered_iou
from stream.tracking.trackers._followed import Followed

_NEAR, _NEAR_PER_SECOND = 0.3, 3.0
"""By which share of their size boxes are enlarged to see whether they overlap where the object is
expected: at most, and for every second since it was seen."""

_FAR, _FARTHER = 0.8, 0.5
"""The same where it is looked for more widely, and by how much more for every second."""

_SAME, _SAME_DOUBTED, _SAME_FAINT, _SAME_FAR = 0.25, 0.4, 0.5, 0.2
"""Overlaps (IoU) of such boxes from which on they show the same object: in the first search for
what is sure, for what is doubted and for what is faint, and in the wide one."""

_GROWN = 2.0
"""What is faint and has more than so many times an object's area, or less than its share of it, is
not that object, however alike their colours are: mostly it is all that is behind as well."""

_ABSENT = 0.9
"""Weight of an overlap with who was not found at the last inference: when two are found as one, it
is the one who was there."""

_ABSENT_LONG = 0.5
"""The same with who was gone for longer than is remembered, or in another scene: who is there is
not to give way to whoever is somewhat more alike."""

_OTHER_CLASS = 0.8
"""Weight of an overlap with an object that was never taken for this class."""

_OTHER_GONE = 0.5
"""Seconds from which on who has been gone is nothing farther off that it was never taken for: where
a car drove past, the bicycle that is seen then is another thing."""

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

_LONG_GONE, _STRANGER = 1.0, 0.6
"""Who has been gone for longer than the first number of seconds is nobody who is found elsewhere in
colours that are less alike than the second: a cushion is no child that was hidden."""

_DRIVES, _BEHIND, _ENTERS = 2.0, 0.5, 0.02
"""Who moved by more than the first share of his size a second, and was missed since, is nobody who
is found farther off by the second share behind him, within the third share of the picture's shorter
side from its edge: who drives off is not the next one who comes in."""

_MISSED, _INSIDE, _SAME_COLOURS, _IN_PLACE = 0.3, 0.04, 0.92, 0.5
"""Who was missed for longer than the first number of seconds, and was by more than the second share
of the picture's shorter side away from one of its edges and not heading there, is nobody whom that
edge cuts off now, in colours less alike than the third and with boxes that overlap by less than the
fourth (IoU): that one has come in, as a car behind a lorry."""

_INERTIA = 0.7
"""Seconds for which an object is expected to keep its speed, falling off exponentially."""


class Matching:
    """Of one picture's candidates and what is known.

    Args:
        candidates: of the picture.
        known: objects that were seen before.
        seconds: when the picture was taken.
        memory: seconds after which an object is known again only where it was.
    """

    def __init__(
        self, candidates: Instances, known: Sequence[Followed], seconds: float, memory: float
    ) -> None:
        self._candidates = candidates
        self._known = known
        if not known:
            return
        self._gone = np.array([seconds - one.seen for one in known], np.float32)
        last = np.array([one.box for one in known], np.float32)
        speeds = np.array([one.velocity for one in known], np.float32)
        coasting = np.float32(_INERTIA) * (1 - np.exp(-self._gone / np.float32(_INERTIA)))
        moved = speeds * coasting[:, None]
        # Where each is expected, then where each was, as both are compared with all candidates.
        self._places = np.concatenate([last + np.concatenate([moved, moved], axis=1), last])
        self._last = last
        both = box_iou(candidates.boxes, self._places)
        self._met, self._stood = both[:, : len(known)], both[:, len(known) :]
        self._speeds = speeds
        elsewhere = np.array([one.scene != candidates.scene for one in known])
        self._distant = elsewhere | (self._gone > memory)

    def pairs(self, sure: NDArray[np.bool_], doubted: NDArray[np.bool_]) -> dict[int, Followed]:
        """Which candidates are which known object; each object is one candidate at most.

        Args:
            sure: which candidates reach the threshold, bool [N].
            doubted: which do so nearly, the sure ones included.
        """
        if not self._known or not len(self._candidates):
            return {}
        present = np.array([one.present for one in self._known])
        numbered = np.array([one.identity > 0 for one in self._known])
        weights = self._weights()
        overlaps = self._near()
        weights[self._itself_there(weights * overlaps, doubted)] = 0
        absent = np.where(self._distant, np.float32(_ABSENT_LONG), np.float32(_ABSENT))
        near = weights * overlaps * np.where(present, np.float32(1), absent)
        found: dict[int, Followed] = {}
        taken: set[int] = set()
        for rows, columns, least in (
            (sure, numbered, _SAME),  # what has no number yet is often a part of one
            (sure, None, _SAME),
            (doubted & ~sure, present, _SAME_DOUBTED),
            (sure, None, _SAME_FAR),
            (~doubted, present & numbered, _SAME_FAINT),
        ):
            free_rows = [row for row in rows.nonzero()[0].tolist() if row not in found]
            free = [
                column
                for column in range(len(self._known))
                if column not in taken and (columns is None or columns[column])
            ]
            if not (free_rows and free):
                continue
            similarity = near
            if least == _SAME_FAINT:
                similarity = np.where(self._of_its_size(), near, np.float32(0))
            if least == _SAME_FAR:
                similarity = np.where(
                    self._strange | self._enters_behind(), np.float32(0), weights * self._far()
                )
            for row, column in best_pairs(similarity[np.ix_(free_rows, free)], least):
                found[free_rows[row]] = self._known[free[column]]
                taken.add(free[column])
        return found

    def _of_its_size(self) -> NDArray[np.bool_]:
        """Which candidates are about as large as each object was last."""
        sizes, theirs = (
            np.log(np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), np.float32(1e-6)))
            for boxes in (self._candidates.boxes, self._last)
        )
        return np.asarray(np.abs(sizes[:, None] - theirs) <= np.log(_GROWN), np.bool_)

    def _itself_there(
        self, near: NDArray[np.float32], doubted: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Which candidates are of another kind than an object that is there itself, if doubted.

        A car that comes in sight behind somebody who leaves is surer than he is.
        """
        own = ~self._other_kind & doubted[:, None] & (near > _SAME_DOUBTED)
        own &= near >= near.max(axis=1, keepdims=True)
        return np.asarray(self._other_kind & own.any(axis=0), np.bool_)

    def _near(self) -> NDArray[np.float32]:
        """Overlaps of boxes where each object is expected, or was."""
        share = np.minimum(np.float32(_NEAR), np.float32(_NEAR_PER_SECOND) * self._gone)
        return self._overlaps(share)

    def _far(self) -> NDArray[np.float32]:
        """The same, farther off the longer it has been gone."""
        return self._overlaps(
            np.float32(_FAR) + np.float32(_FARTHER) * np.minimum(self._gone, np.float32(1))
        )

    def _enters_behind(self) -> NDArray[np.bool_]:
        """Which candidates come into the picture behind an object that was heading away."""
        boxes, (height, width) = self._candidates.boxes, self._candidates.picture_size
        ways = (boxes[:, None, :2] + boxes[:, None, 2:] - self._last[:, :2] - self._last[:, 2:]) / 2
        sizes = np.sqrt((self._last[:, 2:] - self._last[:, :2]).clip(1e-3).prod(axis=1))
        paces = np.hypot(*self._speeds.T)
        onward = (ways * self._speeds).sum(axis=2) / np.maximum(paces, np.float32(1e-3))
        margins = np.concatenate([boxes[:, :2], (width, height) - boxes[:, 2:]], axis=1)
        enters = margins.min(axis=1) < _ENTERS * min(height, width)
        missed = np.array([not one.present for one in self._known])
        away = missed & (paces > _DRIVES * sizes)
        found: NDArray[np.bool_] = enters[:, None] & away & (onward < -_BEHIND * sizes)
        return found

    def _comes_in(self, likeness: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which candidates are cut off where a missed object was not, and was not heading."""
        missed = np.array([not one.present for one in self._known]) & (self._gone > _MISSED)
        if not missed.any():
            return np.zeros(likeness.shape, np.bool_)
        height, width = self._candidates.picture_size
        shorter = min(height, width)
        ends = np.array([0, 0, width, height], np.float32)
        cut = np.abs(self._candidates.boxes - ends) < _ENTERS * shorter
        moved = self._speeds * self._gone[:, None]
        ahead = self._last + np.concatenate([moved, moved], axis=1)
        apart = np.minimum(_inwards(self._last, ends), _inwards(ahead, ends)) > _INSIDE * shorter
        entered = (cut[:, None] & apart[None]).any(axis=2)
        found: NDArray[np.bool_] = (
            entered & missed & (self._stood < _IN_PLACE) & (likeness < _SAME_COLOURS)
        )
        return found

    def _overlaps(self, share: NDArray[np.float32]) -> NDArray[np.float32]:
        # Who turned round or stopped is nearer to where he was than to where he was heading.
        found = buffered_iou(self._candidates.boxes, self._places, np.concatenate([share, share]))
        count = len(self._known)
        return np.maximum(found[:, :count], found[:, count:])

    def _weights(self) -> NDArray[np.float32]:
        """How each candidate's overlaps with the known ones weigh, by class, colours and scene."""
        candidates = self._candidates
        known_class = np.array(
            [[label in one.votes for one in self._known] for label in candidates.labels.tolist()],
        )
        living = _living(candidates.class_names)
        theirs = living[[one.label for one in self._known]]
        maybe = living[candidates.labels][:, None] == theirs
        self._other_kind = ~(maybe | known_class)
        maybe |= self._met > _OTHER_KIND
        self._strange = ~known_class & (self._gone > _OTHER_GONE)
        weights = np.where(known_class, 1, maybe * np.float32(_OTHER_CLASS)).astype(np.float32)
        back = known_class & (self._stood > _BACK)
        looks = [(place, one.colours) for place, one in enumerate(self._known)]
        places = [place for place, colours in looks if colours is not None]
        if candidates.colours is not None and places:
            colours = np.stack([colours for _, colours in looks if colours is not None])
            likeness = alike(candidates.colours, colours)
            self._strange[:, places] |= (likeness < _STRANGER) & (self._gone[places] > _LONG_GONE)
            back[:, places] &= likeness > _BACK_ALIKE
            more = np.ones_like(weights)
            more[:, places] += np.float32(_LIKENESS) * (likeness - np.float32(_INDIFFERENT))
            more = np.maximum(more, np.float32(0.05))
            here = np.where(self._distant, np.float32(0), self._stood)
            weights *= np.where(_undisputed(here), np.maximum(more, 1), more)
            known = np.ones_like(weights)
            known[:, places] = likeness
            weights[self._comes_in(known)] = 0
        return np.where(self._distant & ~back, np.float32(0), weights)


@lru_cache(maxsize=8)
def _living(names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which of a model's classes are people or animals; not to be written to."""
    return np.array([name.casefold() in LIVING for name in names])


def _inwards(boxes: NDArray[np.float32], ends: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far the sides of boxes lie within a picture whose sides lie at `ends`, float32 (N, 4)."""
    return np.asarray((boxes - ends) * np.array([1, 1, -1, -1], np.float32), np.float32)


def _undisputed(overlaps: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which pairs overlap with each other alone; `overlaps` are IoU, float32 (N, M)."""
    close = overlaps > _RIVAL
    alone = (close.sum(0, keepdims=True) <= 1) & (close.sum(1, keepdims=True) <= 1)
    undisputed: NDArray[np.bool_] = alone & (overlaps >= _ALONE)
    return undisputed
