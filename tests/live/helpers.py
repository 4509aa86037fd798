"""Parts of live runs for tests: a scene with a known truth, a slow model, a display that notes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from stream.frame import Frame, Item, VideoInfo
from stream.inference.segmenter import Segmenter
from stream.live.controls import Controls
from stream.live.run import LiveRun
from stream.sinks.display import Display
from stream.sources.base import Source
from stream.sources.looped import LoopedSource
from stream.timing import Clock
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


class Blinking(Source):
    """Grey pictures of 64 x 48, every other one half as bright, 30 a second."""

    def __init__(self) -> None:
        self._closed = threading.Event()
        self.info = VideoInfo("blinking", 64, 48, "yuv420p", Fraction(1, RATE), Fraction(RATE))

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while not self._closed.wait(1 / RATE):
            luma = np.full((48, 64), 110 if index % 2 else 200, np.uint8)
            planes = np.concatenate([luma, np.full((24, 64), 128, np.uint8)])
            picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            yield Frame(picture, index, index, Fraction(1, RATE))
            index += 1

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


class Notes(Display):
    """Notes when each frame was shown and what was on it."""

    def __init__(self) -> None:
        self.run: LiveRun | None = None
        self.ages: list[float] = []
        self.frames: list[tuple[float, object]] = []
        self.notices: list[tuple[str, ...]] = []

    def write(self, item: Item) -> None:
        assert isinstance(item, Frame) and self.run is not None
        self.run.shown(item)
        self.ages.append(time.perf_counter() - item.born)
        self.frames.append((item.seconds, item.instances))

    def notice(self, lines: Sequence[str]) -> None:
        if not self.notices or tuple(lines) != self.notices[-1]:
            self.notices.append(tuple(lines))

    def close(self) -> None:
        pass

    def age(self, share: float) -> float:
        return sorted(self.ages)[int(share * (len(self.ages) - 1))]


def live_run(source: Source, model, **options) -> tuple[LiveRun, Notes, Clock]:
    clock, notes = Clock(), Notes()
    run = LiveRun(source, model, Controls(model), clock, displays=(notes,), **options)
    notes.run = run
    return run, notes, clock


def run_for(run: LiveRun, seconds: float):
    timer = threading.Timer(seconds, run.stop)
    timer.start()
    outcome = run.run()
    timer.cancel()
    timer.join()
    return outcome
