"""Where the time goes: stage clocks, percentiles, and the figures of a run."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

STAGES = ("decode", "plan", "preprocess", "infer", "postprocess", "motion", "composite", "encode")
"""The stages of a run, in the order in which a frame passes them."""

END_TO_END = "end to end"
"""Seconds from the moment a frame was read until it is written, waiting in queues included."""

CAPTURE_TO_DISPLAY = "capture to display"
"""Seconds from the moment a picture was taken (or came in) until it is on the screen."""

LABELS = {END_TO_END: "with waiting in queues"}
"""What people are told where a stage's name would be misunderstood: in a file, that frames wait for
each other is no delay of anything."""

_LATELY, _ENOUGH = 2.0, 0.5
"""Seconds that a rate is taken over, where frames come more often than that, and at least."""

_SMALLEST = 1e-7
_RATIO = 1.01
_BINS = 2400  # 1e-7 s * 1.01**2400 is about 2,300 s


class Percentiles:
    """A distribution of durations in constant memory.

    Durations are counted in bins 1 percent wide, so a percentile is right to half a percent
    however long the run was; the maximum, the count and the sum are exact.
    """

    __slots__ = ("_bins", "count", "maximum", "total")

    def __init__(self) -> None:
        self._bins = [0] * _BINS
        self.count = 0
        self.total = 0.0
        self.maximum = 0.0

    def add(self, seconds: float) -> None:
        """Counts one duration, in seconds; a negative one counts as zero."""
        index = 0
        if seconds > _SMALLEST:
            index = min(_BINS - 1, int(math.log(seconds / _SMALLEST) / math.log(_RATIO)))
        self._bins[index] += 1
        self.count += 1
        self.total += max(0.0, seconds)
        self.maximum = max(self.maximum, seconds)

    def percentile(self, share: float) -> float:
        """The duration in seconds that `share` (0..1) of all do not exceed; 0 if there are none."""
        if not self.count:
            return 0.0
        wanted = max(1, math.ceil(share * self.count))
        seen = 0
        for index, number in enumerate(self._bins):
            seen += number
            if seen >= wanted:
                middle = _SMALLEST * math.exp((index + 0.5) * math.log(_RATIO))
                return min(self.maximum, middle)
        return self.maximum

    def up_to(self, bounds: Sequence[float]) -> list[int]:
        """How many durations did not exceed each of the bounds, in seconds and ascending."""
        found: list[int] = []
        index = seen = 0
        for bound in bounds:
            while index < _BINS and _SMALLEST * _RATIO**index <= bound:
                seen += self._bins[index]
                index += 1
            found.append(seen)
        return found


@dataclass(frozen=True, slots=True)
class Histogram:
    """One stage's durations: how many did not exceed each bound, all of them, and their sum."""

    up_to: list[int]
    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class StageFigures:
    """One stage's durations over a run, in milliseconds."""

    frames: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    max_ms: float


class Clock:
    """Collects every frame's stage durations; shared by the threads of a run.

    Besides the distribution over the whole run it keeps a running mean over about the last
    sixteen frames, or all while there are fewer, for the timing panel, and the rate at which
    frames came out lately.

    Args:
        now: seconds on a clock that only goes forward.
    """

    _WEIGHT = 1 / 16

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._lock = threading.Lock()
        self._now = now
        self._stages: dict[str, Percentiles] = {}
        self._recent: dict[str, float] = {}
        self._out: deque[float] = deque()

    def add(self, stage: str, seconds: float) -> None:
        """Counts one frame's time in one stage, in seconds."""
        with self._lock:
            durations = self._stages.get(stage)
            if durations is None:
                durations = self._stages[stage] = Percentiles()
            durations.add(seconds)
            before = self._recent.get(stage, 0.0)
            # The first frame takes longest, and must not count for more than any other.
            weight = max(self._WEIGHT, 1 / durations.count)
            self._recent[stage] = before + weight * (seconds - before)

    def frame_out(self) -> None:
        """Notes that a frame has just left the pipeline."""
        now = self._now()
        with self._lock:
            self._out.append(now)
            # One that is older stays, or a burst after a pause would be all that is known.
            while len(self._out) > 2 and now - self._out[1] > _LATELY:
                self._out.popleft()

    def recent(self) -> dict[str, float]:
        """Running means in seconds, by stage."""
        with self._lock:
            return dict(self._recent)

    def histograms(self, bounds: Sequence[float]) -> dict[str, Histogram]:
        """Each stage's durations counted by bounds, in seconds and ascending."""
        with self._lock:
            return {
                name: Histogram(stage.up_to(bounds), stage.count, stage.total)
                for name, stage in self._stages.items()
            }

    @property
    def rate(self) -> float | None:
        """Frames per second over the last seconds; None before there are enough to tell.

        Frames come out in bursts where several are worked on at once, so that the time between two
        of them says nothing.
        """
        with self._lock:
            if len(self._out) < 2 or self._out[-1] - self._out[0] < _ENOUGH:
                return None
            return (len(self._out) - 1) / (self._out[-1] - self._out[0])

    def figures(self) -> dict[str, StageFigures]:
        """Each stage's figures, in pipeline order, stages that never ran left out."""
        with self._lock:
            order = [*STAGES, *(name for name in self._stages if name not in STAGES)]
            order.sort(key=lambda name: name in (END_TO_END, CAPTURE_TO_DISPLAY))
            return {name: _figures(self._stages[name]) for name in order if name in self._stages}


def _figures(stage: Percentiles) -> StageFigures:
    return StageFigures(
        frames=stage.count,
        mean_ms=1e3 * stage.total / stage.count if stage.count else 0.0,
        p50_ms=1e3 * stage.percentile(0.50),
        p95_ms=1e3 * stage.percentile(0.95),
        max_ms=1e3 * stage.maximum,
    )


@contextmanager
def timed(stages: dict[str, float], name: str) -> Iterator[None]:
    """Adds the seconds that the block takes to `stages[name]`."""
    start = time.perf_counter()
    try:
        yield
    finally:
        stages[name] = stages.get(name, 0.0) + time.perf_counter() - start


def total(stages: Mapping[str, float]) -> float:
    """The seconds of all stages together."""
    return sum(stages.values())
