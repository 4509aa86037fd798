"""Objects followed by where they are heading, whatever the rate of inference."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances
from stream.objects.instance_arrays import with_fields
from stream.tracking.association import united
from stream.tracking.base import ROUNDING, Elapsed, Sizes, Tracker, remembered
from stream.tracking.trackers._followed import Followed
from stream.tracking.trackers._matching import Matching
from stream.tracking.trackers._parts import part_of

CONFIRM = 0.08
"""Seconds over which a new object is found, twice at least, before it is shown and has a number.
What detectors make up lasts for a few pictures of footage."""

SURVEY = 0.3
"""The same where what follows is known, as in files, for what is never more than doubtful."""

OFTEN = 0.5
"""In which share of the pictures since it was first found a new object must reach the threshold."""

LIKELY, CERTAIN = 0.7, 0.9
"""From the first score on `CONFIRM` is enough in files too, and from the second on a new object is
shown at once: who walks in is not to wait."""

MEMORY = 3.0
"""Seconds for which an object that is gone is remembered."""

LONG, _MOST = 30.0, 64
"""Seconds for which one is that did not walk off, where it was and in its colours, and how many
such ones there are at most."""

DOUBTED = 0.7
"""Candidates below this share of the threshold are faint: they may be a known object where it was,
and nothing else."""

_PART = 0.3
"""As `CONFIRM`, for what is part of a known object of its class: mostly a limb found once more."""

_GAP = 0.1
"""Seconds, or one inference, by which a new object may be missed while it is not confirmed."""


class Motion(Tracker):
    """Matches boxes where each object is expected by its speed, first the sure ones (ByteTrack).

    Of several that overlap, what is of an object's colours is that object.

    What is not found there is looked for farther off, the longer it has been gone the farther. An
    object whose class wavers is one object, with the class that it was taken for most. New objects
    are shown once they are confirmed; see `CONFIRM`, `SURVEY` and `CERTAIN`. Live, those of the
    first picture are shown at once.
    """

    floor: ClassVar[float] = 0.4
    lookahead: ClassVar[float] = SURVEY
    colours: ClassVar[bool] = True

    def __init__(self) -> None:
        self._known: list[Followed] = []
        self._identities = 0
        self._inferences = 0
        self._elapsed = Elapsed()
        self._sizes = Sizes()
        self._patience = CONFIRM
        self._ahead: deque[_Seen] = deque()

    def update(
        self,
        candidates: Instances,
        seconds: float,
        threshold: float,
        following: Sequence[tuple[float, Instances]] = (),
    ) -> Instances:
        """Those that are known or confirmed, in their order; see `Tracker.update`.

        What follows is followed as soon as it is known, each picture once. What a picture shows is
        said last, by what is known then.
        """
        far = bool(following) and following[-1][0] - seconds >= SURVEY - ROUNDING
        self._patience = SURVEY if far else CONFIRM
        if self._ahead and abs(self._ahead[0].seconds - seconds) > ROUNDING:
            self._ahead.clear()  # what was to follow does not
        if not self._ahead:
            self._ahead.append(self._follow(candidates, seconds, threshold, told=far))
        for when, later in following[len(self._ahead) - 1 :]:
            self._ahead.append(self._follow(later, when, threshold, told=far))
        if not far:
            self._settle()
        return self._ahead.popleft().shown()

    def _follow(
        self, candidates: Instances, seconds: float, threshold: float, *, told: bool
    ) -> _Seen:
        """Who is who in the next picture; `told` says whether what follows is known."""
        first = self._elapsed(seconds) is None
        if first:
            self._known.clear()
        self._sizes.follow(candidates, self._known)
        self._inferences += 1
        sure = candidates.scores >= threshold
        known = Matching(candidates, self._known, seconds, MEMORY)
        found = known.pairs(sure, candidates.scores >= DOUBTED * threshold)
        parts: dict[int, int] = {}
        for index, one in list(found.items()):
            if not (sure[index] or one.holds(seconds)):
                del found[index]
                continue
            one.take(candidates, index, seconds, sure=bool(sure[index]))
        for index in sure.nonzero()[0].tolist():
            there = found.get(index)
            if there is not None and there.identity:
                continue
            part = part_of(candidates, index, found, seconds, DOUBTED * threshold)
            if there is None:
                if part is not None and part.twice:
                    continue
                there = found[index] = self._meet(candidates, index, seconds)
                if part is not None:
                    there.patience = _PART
            if (first and not told) or self._proved(there, seconds):
                self._confirm(there)
            elif part is not None:
                parts[index] = part.whole
        self._known = remembered(self._known, found.values(), lambda one: _remembers(one, seconds))
        gone = [one for one in self._known if seconds - one.seen > MEMORY + ROUNDING]
        if len(gone) > _MOST:
            self._known.remove(min(gone, key=lambda one: one.seen))
        seen = _Seen(seconds, candidates, found, parts)
        seen.place()
        return seen

    def _meet(self, candidates: Instances, index: int, seconds: float) -> Followed:
        """Takes a candidate that nobody is for a new object."""
        label, score = int(candidates.labels[index]), float(candidates.scores[index])
        new = Followed(
            identity=0,
            box=candidates.boxes[index],
            votes={label: score},
            first_seen=seconds,
            seen=seconds,
            sure=seconds,
            met=self._inferences,
            velocity=np.zeros(2, np.float32),
            colours=None if candidates.colours is None else candidates.colours[index],
            scene=candidates.scene,
            best=score,
        )
        self._known.append(new)
        return new

    def _proved(self, one: Followed, seconds: float) -> bool:
        """Whether a new object was found often enough to be one."""
        patience = one.patience
        if patience is None:
            if one.best >= CERTAIN:
                return True
            patience = CONFIRM if one.best >= LIKELY else self._patience
        lasting = seconds - one.first_seen >= patience - ROUNDING
        return lasting and one.sightings >= OFTEN * (self._inferences - one.met + 1)

    def _confirm(self, one: Followed) -> None:
        self._identities += 1
        one.identity = self._identities

    def _settle(self) -> None:
        """Confirms by what is known whom the end of what is known has kept from it."""
        for one in self._ahead[-1].found.values():
            if not (one.identity or one.doubted) and self._proved(one, one.seen):
                self._confirm(one)


@dataclasses.dataclass(slots=True)
class _Seen:
    """What a picture shows.

    Attributes:
        seconds: when it was taken.
        candidates: what was found in it.
        found: which of them are which object.
        parts: which of them are parts of which others of them, as far as they had no number.
    """

    seconds: float
    candidates: Instances
    found: dict[int, Followed]
    parts: dict[int, int]

    def place(self) -> None:
        """Tells objects where their masks lie."""
        masks, boxes = self._united()
        for index, one in self.found.items():
            if one.identity:
                one.reached((masks[index], boxes[index]), self.seconds)

    def _united(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """All masks and their boxes; objects' with what is part of them and has no number."""
        there = self.candidates
        for part, whole in self.parts.items():
            if self.found[part].identity or not self.found[whole].identity:
                continue
            mask, box = united(there, whole, part)
            masks, boxes = there.masks.copy(), there.paste_boxes.copy()
            masks[whole], boxes[whole] = mask, box
            there = with_fields(there, masks=masks, mask_boxes=boxes)
        return there.masks, there.paste_boxes

    def shown(self) -> Instances:
        """Those that have a number by now, each with what is part of it."""
        masks, boxes = self._united()
        shown = sorted(index for index, one in self.found.items() if one.identity)
        objects = [self.found[index] for index in shown]
        chosen = self.candidates.select(np.array(shown, np.int64))
        reach = boxes[shown]
        return with_fields(
            chosen,
            labels=np.array([one.label for one in objects], np.int64),
            track_ids=np.array([one.identity for one in objects], np.int64),
            masks=masks[shown],
            mask_boxes=None if np.array_equal(reach, chosen.boxes) else reach,
        )


def _remembers(one: Followed, seconds: float) -> bool:
    """Whether an object that may be gone is known again where it is found."""
    limit = MEMORY if one.identity else _GAP
    if one.identity and one.stayed and one.colours is not None:
        limit = LONG
    return seconds - one.seen <= limit + ROUNDING
