"""Whether memory grows with the length of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil

from stream.bench.figures import Figure
from stream.bench.material import FindsNothing, make_clip
from stream.frame import Item
from stream.run.finder import Finder
from stream.run.opening import make_painter
from stream.run.output import Output
from stream.run.run import Run
from stream.run.schedule import EachFrame
from stream.settings.options import PictureOptions
from stream.sinks.base import Sink
from stream.sinks.video import VideoSink
from stream.sources.file import FileSource

EARLY, LATE = 500, 5000


class _Watched(Sink):
    """Notes the process's resident memory as frames go by."""

    def __init__(self, inner: Sink) -> None:
        self._inner = inner
        self._process = psutil.Process()
        self.frames = 0
        self.peak = 0
        self.at: dict[int, int] = {}

    def write(self, item: Item) -> None:
        self._inner.write(item)
        self.frames += 1
        if self.frames % 50 == 0:
            now = self._process.memory_info().rss
            self.peak = max(self.peak, now)
            self.at[self.frames] = now

    def close(self) -> None:
        self._inner.close()

    def abort(self) -> None:
        self._inner.abort()


def measure(folder: Path) -> Iterator[Figure]:
    """Peak memory, and memory after 5,000 frames against after 500, at 640 x 480."""
    clip = folder / "memory.mp4"
    make_clip(clip, 640, 480, LATE + 50)
    source = FileSource(clip)
    sink = _Watched(VideoSink(folder / "memory-out.mp4", source.info, preset="ultrafast"))
    schedule = EachFrame(Finder(FindsNothing()))
    output = Output(sink, "memory-out.mp4", make_painter(PictureOptions()))
    outcome = Run(source, schedule, [output]).run()
    if outcome.error is not None:
        raise outcome.error
    yield Figure(
        "memory after 5,000 frames against after 500",
        sink.at[LATE] / sink.at[EARLY],
        "×",
        at_most=1.05,
        detail=f"{sink.at[EARLY] / 2**20:.0f} MiB, then {sink.at[LATE] / 2**20:.0f} MiB, 640x480",
    )
    yield Figure("peak memory", sink.peak / 2**20, "MiB", detail="640x480, no network loaded")
