"""Parts of live runs for tests: a scene with a known truth, a slow model, a display that notes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from stream import tracking
from stream.frame import Frame, Item, VideoInfo
from stream.inference.segmenter import Segmenter
from stream.instances import Instances
from stream.queues import WhenFull
from stream.run.beside_display import BesideDisplay
from stream.run.finder import Finder
from stream.run.opening import make_painter
from stream.run.output import Output
from stream.run.outputs import open_output
from stream.run.plan import OutputPlan
from stream.run.run import Run
from stream.run.setup import put_together
from stream.settings.options import OutputOptions, PictureOptions
from stream.sinks.display import Display
from stream.sources._clock import Clock
from stream.sources.base import Source
from stream.sources.looped import LoopedSource
from tests import tiny_models

WIDTH, HEIGHT, RATE = 320, 240, 30


def square_left(index: int) -> int:
    """Where the bright square begins in a frame, in pixels."""
    return 20 + 2 * (index % 110)


class Scene(Source):
    """A bright square that moves over a mottled ground, two pixels per frame."""

    def __init__(self, frames: int = 10**6, fail_at: int | None = None) -> None:
        noise = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH), np.uint8)
        blurred = cv2.GaussianBlur(noise, (0, 0), 4)
        self._ground = cv2.normalize(blurred, None, 30, 150, cv2.NORM_MINMAX)
        self._frames, self._fail_at = frames, fail_at
        self._closed = threading.Event()
        self.info = VideoInfo("scene", WIDTH, HEIGHT, "yuv420p", Fraction(1, RATE), Fraction(RATE))

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._frames):
            if self._closed.is_set():
                return
            if index == self._fail_at:
                raise RuntimeError("the source broke")
            luma = self._ground.copy()
            left = square_left(index)
            luma[80:160, left : left + 60] = 235
            planes = np.concatenate([luma, np.full((HEIGHT // 2, WIDTH), 128, np.uint8)])
            picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            yield Frame(picture, index, index, Fraction(1, RATE))

    def close(self) -> None:
        self._closed.set()


def scene(**options: int) -> LoopedSource:
    return LoopedSource(lambda: Scene(**options))


def segmenter(folder: Path) -> Segmenter:
    return Segmenter.load(tiny_models.bright(folder / "bright.onnx"), provider="cpu", threads=1)


class Slow:
    """A segmenter that takes its time without taking the processor, like one on a busy GPU."""

    def __init__(self, inner: Segmenter, seconds: float) -> None:
        self._inner, self.seconds = inner, seconds

    def __getattr__(self, name: str):
        return getattr(self._inner, name)

    def infer(self, prepared):
        end = time.perf_counter() + self.seconds
        raw = self._inner.infer(prepared)
        time.sleep(max(0.0, end - time.perf_counter()))
        return raw


class Steps(Clock):
    """Time that stands still until what was given out is shown, as on a machine that is never busy.

    A model that thinks holds up neither the time nor, if all is well, what is shown meanwhile.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._at, self._over = 0.0, False
        self._until: float | None = None
        self.settled: Callable[[], bool] = lambda: True

    def now(self) -> float:
        return self._at

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        guard = time.monotonic() + 60
        with self._changed:
            while not stop.is_set() and not self._may_go_on():
                assert time.monotonic() < guard, "what is shown waits for what is yet to come"
                self._changed.wait(0.002)
            self._at += max(0.0, seconds)
            self._changed.notify_all()
        return stop.is_set()

    def _may_go_on(self) -> bool:
        return (self._until is None or self._until > self._at) and self.settled()

    @property
    def thinking(self) -> bool:
        """Whether a model needs more time."""
        return self._until is not None

    def think(self, seconds: float) -> None:
        """Takes so much of this time, or what is left of it."""
        with self._changed:
            self._until = self._at + seconds
            self._changed.wait_for(lambda: self._at >= (self._until or 0.0) or self._over)
            self._until = None

    def source(self, frames: int, rate: Fraction | None = None) -> LoopedSource:
        """So many frames of the scene in this time."""
        steps = self

        class Ending(Scene):
            def __iter__(self) -> Iterator[Frame]:
                yield from super().__iter__()
                with steps._changed:
                    steps._over = True
                    steps._changed.notify_all()

        return LoopedSource(lambda: Ending(frames), rounds=1, rate=rate, clock=self)


class Thinking(Slow):
    """A segmenter that takes so much of a stepped time."""

    def __init__(self, inner: Segmenter, seconds: float, steps: Steps) -> None:
        super().__init__(inner, seconds)
        self._steps = steps
        self.answers = 0

    def infer(self, prepared):
        raw = self._inner.infer(prepared)
        self._steps.think(self.seconds)
        self.answers += 1
        return raw


class Notes(Display):
    """Notes when each frame was shown and what was on it."""

    def __init__(self) -> None:
        self.ages: list[float] = []
        self.frames: list[tuple[float, Instances | None]] = []
        self.notices: list[tuple[str, ...]] = []

    def write(self, item: Item) -> None:
        assert isinstance(item, Frame)
        self.ages.append(time.perf_counter() - item.captured_at)
        self.frames.append((item.pts_seconds, item.instances))

    def notice(self, lines: Sequence[str]) -> None:
        if not self.notices or tuple(lines) != self.notices[-1]:
            self.notices.append(tuple(lines))

    def close(self) -> None:
        pass

    def age(self, share: float) -> float:
        return sorted(self.ages)[int(share * (len(self.ages) - 1))]


def live_run(source: Source, model, every: int | None = None) -> tuple[Run, Notes]:
    """A run as `stream webcam` makes it, with a display that takes notes."""
    notes = Notes()
    schedule = BesideDisplay(Finder(model, tracking.make("steady")), every)
    run = put_together(source, schedule, [], model)
    run.add(Output(notes, "display", make_painter(PictureOptions()), when_full=WhenFull.LATEST,
                   capacity=1))  # fmt: skip
    return run, notes


def recording(run: Run, path: Path) -> Output:
    """An output that records what the display of a run shows."""
    plan = OutputPlan(str(path), PictureOptions(), OutputOptions(preset="ultrafast"))
    return open_output(plan, run.info)
