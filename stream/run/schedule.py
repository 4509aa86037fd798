"""Which frames are inferred, and how every frame gets its instances."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from stream.errors import StreamError
from stream.inference.postprocess import Raw
from stream.inference.preprocess import Prepared
from stream.instances import Instances
from stream.motion.flow import Grey
from stream.motion.scenes import Scenes, small_of
from stream.run import unsure
from stream.run.bridge import Bridge
from stream.run.figures import Counts, Job, Work
from stream.run.inference_pool import Answer, InferencePool
from stream.run.room import MOST_HELD, bytes_waiting
from stream.timing import timed
from stream.tracking.appearance import with_colours
from stream.tracking.base import Tracker

if TYPE_CHECKING:
    import av

    from stream.inference.gatherer import Gatherer


class Detector(Protocol):
    """What a schedule asks of a segmenter: its three steps, each from any thread."""

    @property
    def threshold(self) -> float:
        """Lowest score that is kept, 0..1; it may change on the way."""

    @property
    def workers(self) -> int:
        """From how many threads at once `infer` is called best."""

    @property
    def gatherer(self) -> Gatherer | None:
        """Takes pictures of several sources together; None where each is inferred by itself."""

    @property
    def spares_cores(self) -> bool:
        """Whether `infer` computes elsewhere than on the processor's cores."""

    def preprocess(self, picture: av.VideoFrame) -> Prepared:
        """Makes the model's input."""

    def infer(self, prepared: Prepared) -> Raw:
        """Runs the model."""

    def postprocess(
        self, raw: Raw, prepared: Prepared, threshold: float | None = None
    ) -> Instances:
        """Turns the model's answer into instances in picture pixels."""


@dataclass(slots=True)
class Finder:
    """A detector with what follows its objects.

    Attributes:
        detector: finds the objects of a frame.
        tracker: says which are which; None takes each frame for itself.
        covers: whether instances come with what is unsure, for layers that cover objects; it may
            change on the way.
        doubt: down to which share of the threshold that is.
    """

    detector: Detector
    tracker: Tracker | None = None
    covers: bool = False
    doubt: float = unsure.FLOOR
    _scenes: Scenes = field(default_factory=Scenes, init=False)

    @property
    def lookahead(self) -> float:
        """How many seconds of what follows it wants to see, where a run can wait for them."""
        wanted = 0.0 if self.tracker is None else self.tracker.lookahead
        return max(wanted, unsure.AHEAD) if self.covers and self.tracker is not None else wanted

    @property
    def _floor(self) -> float:
        return 1.0 if self.tracker is None else self.tracker.floor

    def candidates(self, raw: Raw, prepared: Prepared) -> Instances:
        """What may be in a frame, for `follow`; called as that is, in order."""
        return self.placed(*self.look(raw, prepared))

    def look(self, raw: Raw, prepared: Prepared) -> tuple[Instances, Grey | None]:
        """What may be in a frame, and what tells its scene; in any order, from any thread."""
        found = self.detector.postprocess(raw, prepared, self._least)
        if self.tracker is None:
            return found, None
        pixels, where = prepared.pixels()[0], prepared.geometry
        (left, top), (width, height) = where.offset, where.content
        small = small_of(pixels[top : top + height, left : left + width])
        if self.tracker.colours:
            found = with_colours(found, pixels, where.scale, where.offset)
        return found, small

    def placed(self, found: Instances, small: Grey | None) -> Instances:
        """What `look` gave with the scene that it belongs to; called in order."""
        return found if small is None else replace(found, scene=self._scenes(small))

    @property
    def _least(self) -> float | None:
        """The lowest score of a candidate; None for the detector's own threshold."""
        share = min(self._floor, self.doubt) if self.covers else self._floor
        return None if share == 1 else share * self.detector.threshold

    def among(self, found: Instances, small: Grey | None) -> Instances:
        """Of what `look` gave down to any lower score that which `candidates` would give."""
        least = self.detector.threshold if self._least is None else self._least
        return self.placed(found.select(found.scores >= least), small)

    def follow(
        self,
        candidates: Instances,
        seconds: float,
        following: Sequence[tuple[float, Instances]] = (),
    ) -> Instances:
        """A frame's instances; called for the inferred frames of a run, in order.

        Args:
            candidates: what may be in it.
            seconds: its presentation time.
            following: the candidates of the next ones, with their times, as far as there are any.
        """
        threshold = self.detector.threshold
        following = [one for one in following if one[1].scene == candidates.scene]
        if not self.covers:
            return self._track(candidates, seconds, threshold, following)
        least = self._floor * threshold
        known = [(when, one.select(one.scores >= least)) for when, one in following]
        shown = self._track(
            candidates.select(candidates.scores >= least), seconds, threshold, known
        )
        others = unsure.unsure_of(candidates, shown, threshold, following, self.doubt)
        return replace(shown, unsure=others)

    def _track(
        self,
        candidates: Instances,
        seconds: float,
        threshold: float,
        following: Sequence[tuple[float, Instances]],
    ) -> Instances:
        if self.tracker is None:
            return candidates
        if self.tracker.lookahead:
            shown = self.tracker.update(candidates, seconds, threshold, following)
        else:
            shown = self.tracker.update(candidates, seconds, threshold)
        if not isinstance(shown, Instances):
            raise StreamError(
                f"the tracker {type(self.tracker).__name__} gave {type(shown).__name__}, where "
                "Instances are shown"
            )
        return replace(shown, colours=None, scene=0)


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
