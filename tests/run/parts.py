"""Parts of runs whose course the tests decide: a source, a detector, sinks, a clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import av
import numpy as np

from stream.frame import Frame, Item, Passthrough, VideoInfo
from stream.inference.contract import Geometry
from stream.inference.preprocess import Prepared
from stream.instances import Instances
from stream.run.finder import Finder
from stream.run.output import Output
from stream.run.run import Run
from stream.run.schedule import EachFrame
from stream.sinks.base import Sink
from stream.sinks.display import Display
from stream.sources.base import Source

RATE = 25
PATIENCE = 60.0
"""Seconds after which a test gives up waiting: a guard, not a measure."""


def until(condition: Callable[[], bool]) -> None:
    """Waits for what another thread brings about, however busy the machine is."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.001)


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self, start: float = 100.0) -> None:
        self.at = start

    def __call__(self) -> float:
        return self.at


def picture(index: int) -> av.VideoFrame:
    """A grey picture of 64 x 48 whose luma is the index, so that it can be told."""
    return av.VideoFrame.from_ndarray(np.full((72, 64), index % 256, np.uint8), format="yuv420p")


def index_of(image: av.VideoFrame) -> int:
    return bytes(image.planes[0])[0]


class Grey(Source):
    """Grey frames, with a packet of another stream before each; counts what it gave."""

    def __init__(self, count: int, fails_at: int | None = None, live: bool = False) -> None:
        self.info = VideoInfo("grey", 64, 48, "yuv420p", Fraction(1, RATE), live=live)
        self.count, self.fails_at = count, fails_at
        self.given = 0
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[Item]:
        for index in range(self.count):
            if self.closed.is_set():
                return
            if index == self.fails_at:
                raise OSError("the cable was pulled")
            packet = av.Packet(bytes([index % 256]))
            packet.time_base = Fraction(1, RATE)
            packet.pts = packet.dts = index
            yield Passthrough([packet])
            self.given += 1
            yield Frame(picture(index), index, index, Fraction(1, RATE), stages={"decode": 0.001})

    def close(self) -> None:
        self.closed.set()


class Held(Grey):
    """A live source that gives a frame only when it is let: `let` says up to which."""

    def __init__(self, count: int = 10**6) -> None:
        super().__init__(count, live=True)
        self._may = threading.Semaphore(0)

    def let(self, frames: int = 1) -> None:
        self._may.release(frames)

    def __iter__(self) -> Iterator[Item]:
        for item in super().__iter__():
            if isinstance(item, Frame):
                while not self._may.acquire(timeout=0.01):
                    if self.closed.is_set():
                        return
            yield item


class Looker:
    """A detector that sees one person in each frame, whose score is the frame's index / 1000.

    Args:
        on_infer: called with the frame's index before inference's answer.
        workers: as of a segmenter.
    """

    threshold = 0.0
    name = provider = "looker"
    remarks: tuple[str, ...] = ()
    gatherer = None
    spares_cores = False

    def __init__(self, on_infer: Callable[[int], None] | None = None, workers: int = 1) -> None:
        self._on_infer = on_infer
        self.workers = workers

    def preprocess(self, image: av.VideoFrame) -> Prepared:
        return prepared_grey(image)

    def infer(self, prepared: Prepared) -> int:
        index = int(prepared.pixels().flat[0])
        if self._on_infer is not None:
            self._on_infer(index)
        return index

    def postprocess(
        self, raw: int, prepared: Prepared, threshold: float | None = None
    ) -> Instances:
        return one_person(raw)


def prepared_grey(image: av.VideoFrame) -> Prepared:
    """The picture as a model's input that is as large."""
    return prepared_number(index_of(image), (image.width, image.height))


def prepared_number(index: int, size: tuple[int, int] = (64, 48)) -> Prepared:
    """A model's input that is the index everywhere."""
    grey = np.full((1, size[1], size[0], 3), index, np.uint8)
    return Prepared(grey, Geometry(size, size, (0, 0), size))


def one_person(index: int) -> Instances:
    return Instances(
        boxes=np.array([[10, 8, 40, 40]], np.float32),
        scores=np.array([index / 1000], np.float32),
        labels=np.zeros(1, np.int64),
        masks=np.ones((1, 28, 28), np.float32),
        class_names=("person",),
        picture_size=(48, 64),
    )


class Kept(Sink):
    """Keeps what it is given.

    Args:
        fails_at: the index of the frame that it cannot write.
        on_frame: called with each frame before it is written.
    """

    takes_packets = True

    def __init__(
        self, fails_at: int | None = None, on_frame: Callable[[Frame], None] | None = None
    ) -> None:
        self.frames: list[int] = []
        self.images: list[av.VideoFrame] = []
        self.times: list[Fraction] = []
        self.found: list[Instances | None] = []
        self.packets: list[bytes] = []
        self.offsets: list[Fraction] = []
        self.order: list[str] = []
        self.closed = self.aborted = 0
        self.fails_at, self.on_frame = fails_at, on_frame

    def write(self, item: Item) -> None:
        if isinstance(item, Frame):
            if self.on_frame is not None:
                self.on_frame(item)
            if item.index == self.fails_at:
                raise OSError("the disk is full")
            self.frames.append(item.index)
            self.images.append(item.image)
            self.times.append(item.pts * item.time_base)
            self.found.append(item.instances)
            self.order.append("frame")
        else:
            self.packets += [bytes(packet) for packet in item.packets]
            self.offsets.append(item.offset)
            self.order.append("packet")

    def close(self) -> None:
        self.closed += 1

    def abort(self) -> None:
        self.aborted += 1


class Shown(Display):
    """A display that keeps what it showed and was told.

    Args:
        on_frame: called with each frame before it is shown.
    """

    def __init__(self, on_frame: Callable[[Frame], None] | None = None) -> None:
        self.frames: list[Frame] = []
        self.notices: list[tuple[str, ...]] = []
        self.on_frame = on_frame

    def write(self, item: Item) -> None:
        assert isinstance(item, Frame), "a display takes no packets"
        if self.on_frame is not None:
            self.on_frame(item)
        self.frames.append(item)

    def notice(self, lines: Sequence[str]) -> None:
        if not self.notices or tuple(lines) != self.notices[-1]:
            self.notices.append(tuple(lines))

    def close(self) -> None:
        pass


def make_run(source: Source, *sinks: Sink, detector: Looker | None = None, **options) -> Run:
    """A run of each frame into sinks that nothing is painted for."""
    schedule = options.pop("schedule", None) or EachFrame(Finder(detector or Looker()))
    outputs = [Output(sink, f"sink {number}") for number, sink in enumerate(sinks)]
    return Run(source, schedule, outputs, **options)


def check_every_frame_counts_once(outcome):
    counts = outcome.counts
    assert counts.frames_in == counts.written + counts.shown + counts.dropped
    assert counts.inferred + counts.propagated == counts.frames_out
