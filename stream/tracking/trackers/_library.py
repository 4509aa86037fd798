"""Trackers of Roboflow's library `trackers`, which is imported beside everything else."""

from __future__ import annotations

import importlib.util
from abc import abstractmethod
from collections.abc import Sequence
from concurrent.futures import Future
from functools import cache
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

import numpy as np

from stream.errors import UsageError
from stream.instances import Instances
from stream.pictures.sizes import in_another_size
from stream.system.workers import Workers
from stream.tracking.base import Elapsed, Tracker

if TYPE_CHECKING:
    from types import ModuleType

    import supervision


_SHORTEST_STEP, _LONGEST_STEP = 1e-3, 0.5
"""Seconds between two inferences, as the library is told: it takes no time twice, and it forgets
after one second, while a slow model must not make it forget whom it has just seen."""


class Numbering(Protocol):
    """A tracker of the library's."""

    def update(
        self, detections: supervision.Detections, *, timestamp: float
    ) -> supervision.Detections:
        """Those that are followed, with `tracker_id`s; -1 where there is none yet."""


class _Library(NamedTuple):
    detections: type[supervision.Detections]
    trackers: ModuleType


@cache
def _imported() -> Future[_Library]:
    """The library, once it is imported, which takes a second or more of a thread of its own."""
    return Workers(1, "stream-import").submit(_import)


def _import() -> _Library:
    import supervision
    import trackers

    return _Library(supervision.Detections, trackers)


class LibraryTracker(Tracker):
    """Lets one of the library's trackers number the candidates.

    What it has not numbered yet is not shown. It knows pictures of one size, so those of others
    show it what they have where the first one has that.
    """

    floor: ClassVar[float] = 0.7

    def __init__(self) -> None:
        if None in map(importlib.util.find_spec, ("supervision", "trackers")):
            raise UsageError(self._lacking())
        _imported()
        self._threshold = -1.0
        self._elapsed = Elapsed()
        self._clock = 0.0
        self._size: tuple[int, int] | None = None
        self._identities = 0
        self._numbers: dict[int, int] = {}
        self._tracker: Numbering | None = None

    def _lacking(self) -> str:
        return (
            f"the tracker {type(self).__name__.lower()} needs the library trackers; install the "
            "extra from the checkout: pip install '.[trackers]'"
        )

    @abstractmethod
    def _make(self, library: ModuleType, threshold: float) -> Numbering:
        """A new one of the library's, for candidates that are sure from `threshold` on."""

    def update(
        self,
        candidates: Instances,
        seconds: float,
        threshold: float,
        following: Sequence[tuple[float, Instances]] = (),
    ) -> Instances:
        """Those that the library has numbered, in their order; see `Tracker.update`."""
        try:
            library = _imported().result()
        except ImportError as error:
            raise UsageError(f"{self._lacking()} ({error})") from error
        elapsed = self._elapsed(seconds, candidates.scene)
        if self._tracker is None or elapsed is None or threshold != self._threshold:
            self._tracker = self._make(library.trackers, threshold)
            self._threshold, self._size = threshold, candidates.picture_size
            self._numbers.clear()
        self._clock += min(max(elapsed or 0.0, _SHORTEST_STEP), _LONGEST_STEP)
        boxes, size = candidates.boxes, candidates.picture_size
        if self._size is not None and size != self._size:
            boxes = in_another_size(boxes, size, self._size)
        given = library.detections(
            xyxy=boxes.astype(np.float64),
            confidence=candidates.scores.astype(np.float64),
            class_id=candidates.labels.astype(int),
            data={"place": np.arange(len(candidates))},
        )
        answer = self._tracker.update(given, timestamp=self._clock)
        shown: dict[int, int] = {}
        if len(answer) and answer.tracker_id is not None:
            pairs = zip(answer.data["place"], answer.tracker_id, strict=True)
            shown = {int(place): int(number) for place, number in pairs if number >= 0}
        places = sorted(shown)
        identities = [self._identity(shown[place]) for place in places]
        chosen = candidates.select(np.array(places, np.int64))
        return chosen.with_tracks(np.array(identities, np.int64))

    def _identity(self, number: int) -> int:
        """The run's identity for a number that the library gave since it was made."""
        if number not in self._numbers:
            self._identities += 1
            self._numbers[number] = self._identities
        return self._numbers[number]
