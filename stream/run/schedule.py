"""Which frames are inferred, and how every frame gets its instances."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from stream.frame import Passthrough
from stream.inference.postprocess import Raw
from stream.inference.preprocess import Prepared
from stream.instances import Instances
from stream.run.figures import Counts, Job
from stream.timing import timed
from stream.tracking.base import Tracker

if TYPE_CHECKING:
    import av

Work = Job | Passthrough
"""What travels between the threads of a run."""


class Detector(Protocol):
    """What a schedule asks of a segmenter: its three steps, each from any thread."""

    @property
    def threshold(self) -> float:
        """Lowest score that is kept, 0..1; it may change on the way."""

    @property
    def lanes(self) -> int:
        """From how many threads at once `infer` is called best."""

    def prepare(self, picture: av.VideoFrame) -> Prepared:
        """Makes the model's input."""

    def infer(self, prepared: Prepared) -> Raw:
        """Runs the model."""

    def finish(self, raw: Raw, prepared: Prepared, threshold: float | None = None) -> Instances:
        """Turns the model's answer into instances in picture pixels."""


@dataclass(frozen=True, slots=True)
class Finder:
    """A detector with what follows its objects.

    Attributes:
        detector: finds the objects of a frame.
        tracker: says which are which; None takes each frame for itself.
    """

    detector: Detector
    tracker: Tracker | None = None

    def finish(self, raw: Raw, prepared: Prepared, seconds: float) -> Instances:
        """A frame's instances; called for the inferred frames of a run, in order."""
        if self.tracker is None:
            return self.detector.finish(raw, prepared)
        threshold = self.detector.threshold
        candidates = self.detector.finish(raw, prepared, self.tracker.floor * threshold)
        return self.tracker.update(candidates, seconds, threshold)


class Schedule(ABC):
    """Says which frames are inferred, and gives every frame its instances.

    `enter` is called in the source's thread, `settle` in another; both see the frames in order.
    """

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

    def watch(self, counts: Callable[[], Counts]) -> None:
        """Is told where the run's counts can be asked for."""
        return

    @property
    def remarks(self) -> Sequence[str]:
        """What became of the frames, a sentence each."""
        return ()


Answer = tuple[Prepared, Raw]


class Lanes:
    """Preprocessing and inference of several frames at once, in threads of its own.

    One thread more than the detector has lanes, so that the next input is ready when a lane is
    free.

    Args:
        detector: whose steps they are.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._free = threading.Semaphore(detector.lanes)
        self._pool = ThreadPoolExecutor(detector.lanes + 1, "stream-infer")

    @property
    def ahead(self) -> int:
        """How many frames are under way at most, one in waiting included."""
        return self._detector.lanes + 2

    def submit(self, job: Job) -> Future[Answer]:
        """Begins with a frame; its picture must not change until the result is there."""
        return self._pool.submit(self._look, job)

    def _look(self, job: Job) -> Answer:
        stages = job.frame.stages
        with timed(stages, "preprocess"):
            prepared = self._detector.prepare(job.frame.picture)
        with self._free, timed(stages, "infer"):
            return prepared, self._detector.infer(prepared)

    def close(self) -> None:
        """Leaves what has not begun, waits for the rest."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class EachFrame(Schedule):
    """Every frame is inferred, several at once where the machine does more that way.

    Args:
        finder: finds and follows the objects.
    """

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._lanes = Lanes(finder.detector)
        self._under_way: dict[int, Future[Answer]] = {}
        self._lock = threading.Lock()

    @property
    def ahead(self) -> int:
        """As many as are under way at once."""
        return self._lanes.ahead

    def enter(self, job: Job) -> None:
        """Begins preprocessing and inference."""
        future = self._lanes.submit(job)
        with self._lock:
            self._under_way[id(job)] = future

    def settle(self, items: Iterable[Work]) -> Iterator[Work]:
        """Waits for each frame's inference in turn."""
        for item in items:
            if isinstance(item, Job):
                with self._lock:
                    future = self._under_way.pop(id(item))
                settle_with(self._finder, item, future)
            yield item

    def close(self) -> None:
        """Ends the lanes."""
        self._lanes.close()


def settle_with(finder: Finder, job: Job, future: Future[Answer]) -> None:
    """Puts a frame's own instances into it, once its inference is done."""
    prepared, raw = future.result()
    with timed(job.frame.stages, "postprocess"):
        job.frame.instances = finder.finish(raw, prepared, job.frame.seconds)


class Nothing(Schedule):
    """No frame is inferred: what the frames bring, or another way gives them, is shown.

    Args:
        give: puts instances into a frame; None leaves them as they are.
    """

    def __init__(self, give: Callable[[Job], None] | None = None) -> None:
        self._give = give

    @property
    def ahead(self) -> int:
        """Enough to even out jitter."""
        return 3

    def settle(self, items: Iterable[Work]) -> Iterator[Work]:
        """Passes everything on."""
        for item in items:
            if self._give is not None and isinstance(item, Job):
                self._give(item)
            yield item
