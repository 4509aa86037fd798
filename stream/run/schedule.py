"""Which frames are inferred, and how every frame gets its instances."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stream.instances import Instances
from stream.run.bridge import Bridge
from stream.run.figures import Counts, Job, Work
from stream.run.finder import Finder
from stream.run.inference_pool import Answer, InferencePool
from stream.run.room import MOST_HELD, bytes_waiting
from stream.timing import timed

if TYPE_CHECKING:
    pass


class Schedule(ABC):
    """Says which frames are inferred, and gives every frame its instances.

    `enter` is called in the source's thread, `settle` in another; both see the frames in order.

    Args:
        finder: finds and follows the objects.
    """

    def __init__(self, finder: Finder) -> None:
        self._finder = finder

    def cover(self, *, wanted: bool, hides: bool = False) -> None:
        """Says who wants what is unsure, while the run goes on.

        Args:
            wanted: whether anybody does.
            hides: whether layers do, which cover objects with it.
        """
        self._finder.covers = wanted

    @property
    @abstractmethod
    def ahead(self) -> int:
        """How many frames the source may be ahead of `settle` for it to work best."""

    def enter(self, job: Job) -> None:
        """A frame has come in: work on it may begin.

        Raises:
            StreamError: preparing it failed.
        """
        return

    @abstractmethod
    def settle(self, items: Iterable[Work]) -> Iterator[Work]:
        """Passes everything on in order, frames with their instances.

        Raises:
            StreamError: inference failed.
        """

    def close(self) -> None:
        """Waits for what is under way, and ends the schedule's threads; safe to call twice."""
        return

    def watch(
        self,
        counts: Callable[[], Counts],
        wanted: Callable[[], bool] = lambda: True,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Is told whom to ask for counts, who wants instances now, and if it was ended early."""
        return

    @property
    def remarks(self) -> Sequence[str]:
        """What became of the frames, a sentence each."""
        return ()


_ROUNDING = 1e-3
"""Seconds by which timestamps may be off."""


@dataclass(slots=True)
class _Held:
    """A frame that waits for what follows it, and the packets that came after it."""

    job: Job
    candidates: Instances
    after: list[Work] = field(default_factory=list)


class Ahead:
    """Holds frames of footage back until enough of what follows is known to say who is in them.

    Args:
        finder: says who is in a frame, and how far it wants to look ahead.
    """

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._held: deque[_Held] = deque()
        self._bridge = Bridge()

    def put(self, job: Job, future: Future[Answer]) -> Iterator[Work]:
        """Takes an inferred frame, once its inference is done; gives those that are ready now.

        Raises:
            StreamError: inference failed; the frames before are given first.
        """
        try:
            prepared, raw = future.result()
            with timed(job.frame.stages, "postprocess"):
                candidates = self._finder.candidates(raw, prepared)
        except Exception:
            yield from self.flush()
            raise
        yield from self.put_candidates(job, candidates)

    def put_candidates(self, job: Job, candidates: Instances) -> Iterator[Work]:
        """Takes a frame of which it is known what may be in it; gives those that are ready now."""
        self._held.append(_Held(job, candidates))
        while self._held and self._ready():
            yield from self._release()

    def put_after(self, item: Work) -> Iterator[Work]:
        """Takes what keeps its place behind the frames before it."""
        if not self._held:
            yield from self._bridge.put_after(item)
            return
        self._held[-1].after.append(item)
        while self._held and self._ready():
            yield from self._release()

    def flush(self) -> Iterator[Work]:
        """Gives all that is held: nothing follows."""
        while self._held:
            yield from self._release()
        yield from self._bridge.flush()

    def _ready(self) -> bool:
        first, last = self._held[0].job.frame, self._held[-1].job.frame
        if not 0 <= last.pts_seconds - first.pts_seconds < self._finder.lookahead - _ROUNDING:
            return True
        return bytes_waiting(self._held) > MOST_HELD

    def _release(self) -> Iterator[Work]:
        held = self._held.popleft()
        frame = held.job.frame
        following = [(one.job.frame.pts_seconds, one.candidates) for one in self._held]
        with timed(frame.stages, "postprocess"):
            frame.instances = self._finder.follow(held.candidates, frame.pts_seconds, following)
        # Photos have nothing to do with each other, and who is followed by nobody has no number.
        if self._finder.tracker is None:
            yield held.job
            yield from held.after
            return
        yield from self._bridge.put(held.job, held.candidates.scene)
        for item in held.after:
            yield from self._bridge.put_after(item)


class EachFrame(Schedule):
    """Every frame is inferred, several at once where the machine does more that way.

    Args:
        finder: finds and follows the objects.
    """

    def __init__(self, finder: Finder) -> None:
        super().__init__(finder)
        self._inferences = InferencePool(finder.detector)
        self._held = Ahead(finder)
        self._under_way: dict[int, Future[Answer]] = {}
        self._lock = threading.Lock()

    @property
    def ahead(self) -> int:
        """As many as are under way at once."""
        return self._inferences.ahead

    @property
    def remarks(self) -> Sequence[str]:
        """How many pictures came again."""
        return self._inferences.remarks

    def enter(self, job: Job) -> None:
        """Begins preprocessing and inference."""
        future = self._inferences.submit(job)
        with self._lock:
            self._under_way[id(job)] = future

    def settle(self, items: Iterable[Work]) -> Iterator[Work]:
        """Waits for each frame's inference in turn, and for what the tracker wants to know."""
        for item in items:
            yield from self._settled(item)
        yield from self._held.flush()

    def _settled(self, item: Work) -> Iterator[Work]:
        if isinstance(item, Job):
            with self._lock:
                future = self._under_way.pop(id(item))
            yield from self._held.put(item, future)
        else:
            yield from self._held.put_after(item)

    def close(self) -> None:
        """Ends the workers."""
        self._inferences.close()
