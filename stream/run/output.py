"""Where a run's frames go: each output at its own pace, those with the same layers painted once."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stream.errors import SinkError
from stream.frame import Frame, Passthrough, VideoInfo
from stream.queues import Cancelled, Closed, Queue, WhenFull
from stream.run.figures import Fate, Job
from stream.run.time_line import TimeLine
from stream.sinks.base import Gone, NotNow, Sink
from stream.sinks.display import Display
from stream.timing import Clock, timed
from stream.wording.words import counted

if TYPE_CHECKING:
    from stream.compositing.painter import Painter

logger = logging.getLogger(__name__)

_EARLY = 500
"""Packets of sound kept until the first frame is there: some ten seconds."""


@dataclass(slots=True)
class Painted:
    """A job with the frame as one set of layers shows it; all outputs of that set share it."""

    job: Job
    frame: Frame


Delivery = Painted | Passthrough


@dataclass(slots=True)
class OutputFigures:
    """What became of the frames at one output.

    Attributes:
        frames: that it has.
        dropped: that it had no time for.
        unpainted: that were not painted for it in time, though others may have them.
        missed: that came while nothing could be written.
        unsaved: that it took and has not, as writing failed before they were in it.
    """

    frames: int = 0
    dropped: int = 0
    unpainted: int = 0
    missed: int = 0
    unsaved: int = 0


def _nobody(output: Output) -> None:
    """Where nobody is to be told that it has ended."""


class Output:
    """One place that frames go to, with its own queue, thread and time line.

    Args:
        sink: opened; the output closes it, or aborts it where writing failed.
        name: for people: a file's name, an address without its secrets, "window".
        painter: paints its layers; None where frames go out as they came.
        when_full: what becomes of frames that it has no time for.
        capacity: how many frames wait for it.
        from_first: whether its time line begins with its first frame, and frames that change
            their size are fitted to `info`; for what is cut out of a live source.
        info: of the frames, as it was told; None where they may be of any size.
        said: what is known from the beginning that it cannot keep, a sentence each.

    Attributes:
        gone: whether who takes its frames wants no more.
        reached: whether a frame has come to it, which may still wait to be written.
    """

    def __init__(
        self,
        sink: Sink,
        name: str,
        painter: Painter | None = None,
        *,
        when_full: WhenFull = WhenFull.BLOCK,
        capacity: int = 3,
        from_first: bool = False,
        info: VideoInfo | None = None,
        said: Sequence[str] = (),
    ) -> None:
        self.sink = sink
        self.name = name
        self.painter = painter
        self.figures = OutputFigures()
        self._said = tuple(said)
        self.error: BaseException | None = None
        self.gone = self.reached = False
        self.queue: Queue[Delivery] = Queue(
            f"to {name}", capacity, when_full, droppable=lambda item: isinstance(item, Painted)
        )
        self.stage = "encode"
        self._line = TimeLine(info) if from_first else None
        self._early: deque[Passthrough] = deque(maxlen=_EARLY)
        self._aborting = False
        self._finished = threading.Event()
        self._may_end = threading.Lock()
        self._on_end: Callable[[Output], None] = _nobody
        self._clock: Clock | None = None
        self._thread: threading.Thread | None = None

    @property
    def key(self) -> Hashable:
        """Outputs of the same key are painted alike."""
        return None if self.painter is None else self.painter.key

    @property
    def alive(self) -> bool:
        """Whether it still takes frames."""
        return not self._finished.is_set() and self.error is None and not self.gone

    @property
    def problem(self) -> str | None:
        """Why nothing more goes to it, for now or for good, a sentence; None where it does."""
        return self.sink.problem if self.error is None else str(self.error)

    @property
    def remarks(self) -> list[str]:
        """What it could not keep, and what its layers have to say, a sentence each."""
        painted = () if self.painter is None else self.painter.remarks
        found = [*self._said, *self.sink.remarks, *painted]
        found += [] if self._line is None else self._line.remarks(self.name)
        # After an error what is missing has another cause, and a sentence of its own.
        if self.sink.shows or self.gone or self.error:
            return found
        for many, why in (
            (self.figures.dropped, f"it could not keep up; {self.sink.quicker}"),
            (self.figures.unpainted, "painting could not keep up"),
        ):
            if many:
                missing = counted(many, "frame is", "frames are")
                found.append(f"{missing} missing in {self.name}: {why}")
        return found

    def start(self, clock: Clock, on_end: Callable[[Output], None]) -> None:
        """Begins to take frames, in a thread of its own or where its sink wants to be called.

        Args:
            clock: where the seconds of writing are booked.
            on_end: called once it has ended, in its thread; its `error` says how.
        """
        self._clock, self._on_end = clock, on_end
        if self.sink.on_main_thread or self.sink.at_once:
            return
        self._thread = threading.Thread(
            target=self._run, name=f"stream-{self.stage.partition(' ')[0]}", daemon=True
        )
        self._thread.start()

    def put(self, item: Delivery) -> None:
        """Hands it a frame, or packets; waits only where its queue says so."""
        if isinstance(item, Painted):
            item.job.hold()
            self.reached = True
        elif not self.sink.takes_packets:
            return
        if self.sink.at_once:
            self._put_at_once(item)
            return
        try:
            pushed_out = self.queue.put(item)
        except Cancelled:
            pushed_out = [item]
        self._drop(pushed_out)

    def _put_at_once(self, item: Delivery) -> None:
        """Writes in the thread that paints: to pass a frame on costs more than such a sink does."""
        if not self.alive:
            self._drop([item])
            return
        try:
            self._write(item)
        except BaseException as error:  # noqa: BLE001 - carried to the run
            self._end_once(self._fail, error)

    def _end_once(self, end: Callable[..., None], *given: BaseException) -> None:
        """Ends an output without a thread of its own, which several others can want at a time."""
        if self._may_end.acquire(blocking=False):
            end(*given)

    def skip(self, item: Painted) -> None:
        """A frame that nobody looks at: it counts as one that was on time, and goes nowhere."""
        self.figures.frames += 1
        item.job.hold()
        item.job.settle(Fate.SHOWN)

    def _drop(self, items: Sequence[Delivery]) -> None:
        for item in items:
            if isinstance(item, Painted):
                self.figures.dropped += 1
                item.job.settle(Fate.DROPPED)

    def close(self) -> None:
        """Nothing more comes: it writes what waits and finishes."""
        self.queue.close()
        if self.sink.at_once:
            self._end_once(self._finish)

    def abort(self) -> None:
        """It lets go at once; what was already saved stays playable."""
        self._aborting = True
        self._drop(self.queue.cancel())
        if self.sink.at_once:
            self._end_once(self._let_go)

    def join(self, timeout: float | None = None) -> bool:
        """Waits until it has ended; returns whether it has."""
        if self._thread is not None:
            self._thread.join(timeout)
        return self._finished.wait(timeout)

    def step(self, timeout: float) -> bool:
        """For sinks of the main thread: shows what came within `timeout` seconds.

        Returns:
            False once it has ended.
        """
        if self._finished.is_set():
            return False
        try:
            item = self.queue.take(timeout)
            if item is not None:
                self._write(item)
            if isinstance(self.sink, Display) and not self.sink.pump():
                self._finish()
                return False
        except Closed:
            self._finish()
            return False
        except Cancelled:
            self._let_go()
            return False
        except BaseException as error:  # noqa: BLE001 - carried to the run
            self._fail(error)
            return False
        return True

    def take(self) -> Frame | None:
        """For the program that takes the frames itself: the next one, None after the last.

        Which was the last an error may have decided; the run's outcome says so.
        """
        try:
            while True:
                item = self.queue.take()
                if isinstance(item, Painted):
                    self._write(item)
                    return item.frame
        except Closed:
            self._finish()
        except Cancelled:
            self._let_go()
        return None

    def _run(self) -> None:
        try:
            for item in self.queue:
                self._write(item)
        except Cancelled:
            self._let_go()
        except Gone:
            self._leave()
        except BaseException as error:  # noqa: BLE001 - carried to the run
            self._fail(error)
        else:
            self._finish()

    def _finish(self) -> None:
        try:
            self.sink.close()
        except Gone:
            self._leave()
            return
        except BaseException as error:  # noqa: BLE001 - carried to the run
            self._fail(error)
            return
        self._end()

    def _leave(self) -> None:
        self.gone = True
        self._let_go()

    def _fail(self, error: BaseException) -> None:
        self.error = error
        if isinstance(error, SinkError) and error.frames is not None:
            # An encoder holds some back, and a file is playable only up to its last fragment.
            self.figures.unsaved = max(0, self.figures.frames - error.frames)
            self.figures.frames -= self.figures.unsaved
        self._let_go()

    def _let_go(self) -> None:
        try:
            self.sink.abort()
        except Exception as error:
            if self.error is None:
                self.error = error
            else:
                logger.debug("a further error after the first", exc_info=error)
        self._end()

    def _end(self) -> None:
        # Whoever waits to hand it a frame must not wait for what is gone.
        self._drop(self.queue.cancel() if self._aborting else self._left())
        self._finished.set()
        # It holds its run no longer, which else waits with its source for Python's collector.
        on_end, self._on_end = self._on_end, _nobody
        on_end(self)

    def _left(self) -> list[Delivery]:
        self.queue.close()
        left: list[Delivery] = []
        try:
            while (item := self.queue.take(0)) is not None:
                left.append(item)
        except (Closed, Cancelled):  # it may be let go at this very moment
            return left
        return left

    def _write(self, item: Delivery) -> None:
        if isinstance(item, Passthrough):
            self._write_packets(item)
            return
        try:
            self._write_frame(item.frame)
        except NotNow:
            self.figures.missed += 1
            item.job.settle(Fate.DROPPED)
            return
        except BaseException:
            self._drop([item])
            raise
        self.figures.frames += 1
        item.job.settle(Fate.SHOWN if self.sink.shows else Fate.WRITTEN)

    def _write_frame(self, frame: Frame) -> None:
        if self._line is not None:
            first = self._line.origin is None
            frame = self._line.frame(frame)
            if first:
                # Sound is quicker than frames, which are looked at first.
                for packets in self._early:
                    self._write_packets(packets)
                self._early.clear()
        if self._clock is None or self.sink.shows:
            self.sink.write(frame)
            return
        stages: dict[str, float] = {}
        with timed(stages, self.stage):
            self.sink.write(frame)
        self._clock.add(self.stage, stages[self.stage])

    def _write_packets(self, item: Passthrough) -> None:
        if self._line is None:
            self.sink.write(item)
        elif self._line.origin is None:
            self._early.append(item)
        else:
            kept = self._line.sound(item.packets)
            if kept is not None:
                self.sink.write(kept)
