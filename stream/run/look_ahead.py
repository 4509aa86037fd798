"""Inference on some frames of footage, motion on the others."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from fractions import Fraction

from stream.frame import Frame
from stream.instances import Instances
from stream.motion.flow import Grey, small_grey
from stream.motion.propagate import in_size
from stream.motion.propagator import Propagator, is_cut, is_partly_cut
from stream.run.figures import Job, Work
from stream.run.finder import Finder
from stream.run.inference_pool import Answer, InferencePool
from stream.run.schedule import Ahead, Schedule
from stream.run.unsure import BETWEEN, anybody, doubting, looked_at
from stream.timing import timed
from stream.wording.words import counted

LARGEST = 12
"""Frames from one inference to the next at most, where the number is chosen by measurement."""

_MOST_AHEAD = 12
"""Frames that may wait for a later one's inference; a 4K frame is 12 MB."""

_MOST_WAITING = 512 << 20
"""Bytes of pictures that wait for the inference after them: 170 of 1920x1080, 43 of 3840x2160."""

_WEIGHT = 0.25


@dataclass(slots=True)
class _Planned:
    """What was decided about a frame: its small grey picture, and its inference if it is a key.

    Attributes:
        grey: the picture.
        inference: under way; None where masks are carried to it.
        apart: whether a half of the picture shows another scene from here on, so that nothing is
            carried from it to the frames before.
    """

    grey: Grey
    inference: Future[Answer] | None
    apart: bool


class LookAhead(Schedule):
    """Every Nth frame is inferred; the others get the instances of the nearer inferred one, moved.

    Footage is in no hurry: a frame waits for the inferred frame after it, and half the way means
    half the error. A frame that begins a new scene is always inferred.

    Args:
        finder: finds and follows the objects.
        interval: inference on every this many frames, at least 1, or sooner where more of them
            would not go into memory; None chooses the smallest with which the run keeps up with
            `rate`, up to `LARGEST`.
        rate: the footage's frames per second, where known; 30 where not.
    """

    def __init__(self, finder: Finder, interval: int | None, rate: Fraction | None = None) -> None:
        if interval is not None and interval < 1:
            raise ValueError(f"inference must run on every 1st frame or fewer, not {interval}")
        super().__init__(finder)
        if interval != 1:
            finder.doubt = BETWEEN
        self._inferences = InferencePool(finder.detector)
        self._interval = interval
        self._rate = float(rate or 30) / finder.detector.workers
        self._lock = threading.Lock()
        self._inference_seconds: float | None = None
        self._since_key: int | None = None
        self._sooner: int | None = None
        self._before: Grey | None = None
        self._planned: dict[int, _Planned] = {}
        self._propagator = Propagator()
        self._waiting: list[tuple[Work, Grey | None]] = []
        self._hides = False
        self.inferred = 0
        self.propagated = 0

    @property
    def ahead(self) -> int:
        """Up to the next frames that are inferred: each worker has one, as memory allows."""
        workers = self._finder.detector.workers
        return self._inferences.ahead + min(_MOST_AHEAD, workers * (self._interval or 4))

    @property
    def interval(self) -> int:
        """Inference runs on every this many frames, as things stand."""
        if self._interval is not None:
            return self._interval
        with self._lock:
            seconds = self._inference_seconds
        return 1 if seconds is None else max(1, min(LARGEST, math.ceil(seconds * self._rate)))

    @property
    def remarks(self) -> Sequence[str]:
        """How many frames were inferred, and what that may leave bare where objects are covered."""
        again = self._inferences.remarks
        if not self.propagated:
            return again
        told = (
            f"inference ran on {counted(self.inferred, 'frame')}; to the other {self.propagated} "
            "masks were carried by motion"
        )
        if self._hides:
            told += (
                "; who was in none of those that it ran on is bare: leave out --every to have each "
                "frame looked at"
            )
        if self._sooner is None:
            return (told, *again)
        sooner = (
            f"it ran after {counted(self._sooner, 'frame', 'frames')}, sooner than --every says, "
            "as more pictures of this size are not held in memory"
        )
        return (told, sooner, *again)

    def cover(self, *, wanted: bool, hides: bool = False) -> None:
        """As in `Schedule.cover`; whether anything was hidden at any time is told at the end."""
        super().cover(wanted=wanted, hides=hides)
        self._hides |= hides

    def enter(self, job: Job) -> None:
        """Decides about a frame, and begins its inference where it is a key."""
        with timed(job.frame.stages, "plan"):
            grey = small_grey(job.frame.image)
            before, self._before = self._before, grey
            apart = before is not None and is_partly_cut(before, grey)
            key = self._is_key(before, grey, _room(job)) or apart
            self._since_key = 0 if apart else self._since_key
        inference = self._inferences.submit(job) if key else None
        with self._lock:
            self._planned[id(job)] = _Planned(grey, inference, apart)

    def _is_key(self, before: Grey | None, grey: Grey, room: int) -> bool:
        since, interval = self._since_key, self.interval
        key = (
            since is None
            or since + 1 >= min(interval, room)
            or (before is not None and is_cut(before, grey))
        )
        if since is not None and room <= since + 1 < interval:
            self._sooner = since + 1
        self._since_key = 0 if key or since is None else since + 1
        return key

    def settle(self, items: Iterable[Work]) -> Iterator[Work]:
        """Holds frames back until the next inferred one is there."""
        for item in self._followed(items):
            if not isinstance(item, Job):
                # Packets keep their place among the frames.
                if self._waiting:
                    self._waiting.append((item, None))
                else:
                    yield item
                continue
            with self._lock:
                planned = self._planned.pop(id(item))
            if planned.inference is None:
                self._waiting.append((item, planned.grey))
                continue
            self.inferred += 1
            self._measure(item.frame)
            found = item.frame.instances
            yield from _let_go(self._release(None if planned.apart else planned.grey, found))
            if found is not None:
                self._propagator.set_key(planned.grey, found)
                item.frame.instances = looked_at(found, self._finder.detector.threshold)
            yield item
        yield from _let_go(self._end())

    def _end(self) -> list[Work]:
        """Gives the frames behind the last key, of which the last one is inferred."""
        last = next((one for one in reversed(self._waiting) if isinstance(one[0], Job)), None)
        if last is None or last[1] is None:
            return self._release(None, None)
        job, grey = last
        assert isinstance(job, Job)
        frame = job.frame
        prepared, raw = self._inferences.submit(job).result()
        found = self._finder.follow(self._finder.candidates(raw, prepared), frame.pts_seconds)
        released = self._release(grey, found)
        job.inferred = True
        frame.instances = looked_at(found, self._finder.detector.threshold)
        self.inferred, self.propagated = self.inferred + 1, self.propagated - 1
        return released

    def _followed(self, items: Iterable[Work]) -> Iterator[Work]:
        """The same, inferred frames with their instances."""
        held = Ahead(self._finder)
        for item in items:
            inference = None
            if isinstance(item, Job):
                with self._lock:
                    inference = self._planned[id(item)].inference
            if isinstance(item, Job) and inference is not None:
                yield from held.put(item, inference)
            else:
                yield from held.put_after(item)
        yield from held.flush()

    def _release(self, grey: Grey | None, found: Instances | None) -> list[Work]:
        """Gives the waiting frames their instances, from the key before or the one after them.

        One that looks like another scene than the nearer key has those of the other. Where objects
        are covered each has those of the other key besides, as unsure: who is in either is covered
        in all frames between; and of a frame that looks like neither all is.
        """
        after = Propagator()
        if grey is not None and found is not None:
            after.set_key(grey, found)
        waiting = [
            (item, own) for item, own in self._waiting if isinstance(item, Job) and own is not None
        ]
        count, covers = len(waiting), self._finder.covers
        later: list[Instances | None] = [None] * count
        # From the later key backwards, so that each measurement is the next one's first guess.
        for place in range(count - 1, -1, -1):
            if covers or count - place < place + 1:
                later[place] = _moved(after, *waiting[place])
        for place, (job, own) in enumerate(waiting):
            first, second = None, later[place]
            if covers or second is None:
                first = _moved(self._propagator, job, own)
            if first is None and second is None and not covers:
                second = _moved(after, job, own)
            if count - place < place + 1:
                first, second = second, first
            self._give(job, first, second)
        self.propagated += count
        released = [item for item, _ in self._waiting]
        self._waiting.clear()
        return released

    def _give(self, job: Job, nearer: Instances | None, farther: Instances | None) -> None:
        """Gives a frame what was found in the nearer key, and as unsure what was in the other."""
        job.inferred = False
        if nearer is None:
            nearer, farther = farther, None
        if nearer is None and self._finder.covers:
            nearer = anybody((job.frame.image.height, job.frame.image.width))
        job.frame.instances = doubting(nearer, farther)

    def _measure(self, frame: Frame) -> None:
        seconds = sum(
            frame.stages.get(stage, 0.0) for stage in ("preprocess", "infer", "postprocess")
        )
        with self._lock:
            before = self._inference_seconds
            self._inference_seconds = (
                seconds if before is None else before + _WEIGHT * (seconds - before)
            )

    def close(self) -> None:
        """Ends the workers."""
        self._inferences.close()


def _let_go(items: list[Work]) -> Iterator[Work]:
    """Gives each and keeps none: what is painted is copied, and would be there twice."""
    items.reverse()
    while items:
        yield items.pop()


def _room(job: Job) -> int:
    """How many frames like this one may wait for the next inference, at least 1."""
    return max(1, _MOST_WAITING // job.size)


def _moved(propagator: Propagator, job: Job, grey: Grey) -> Instances | None:
    """What was found in a key, moved to a frame; None where there is none of its scene."""
    if not propagator.ready:
        return None
    with timed(job.frame.stages, "motion"):
        return in_size(propagator.propagate_to(grey), job.frame.image)
