"""The stages of a run, each in its own thread, joined by bounded channels.

Frames, copied packets, the end of the stream, errors and cancellation all travel the same way:
from the source through every stage to the sink.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from stream.channel import Cancelled, Channel, WhenFull
from stream.frame import Frame, Passthrough
from stream.sinks.base import Sink
from stream.sources.base import Source
from stream.timing import END_TO_END, Clock, timed

logger = logging.getLogger(__name__)

CAPACITY = 3
"""Items a channel holds. Enough to even out jitter between stages; a 4K frame is 12 MB."""


@dataclass(slots=True)
class Job:
    """A frame with what the stages hand to each other about it."""

    frame: Frame
    prepared: Any = None
    raw: Any = None


@dataclass(frozen=True, slots=True)
class Stage:
    """A named step that changes a job; it runs in a thread of its own.

    `name` is the stage's name in the report; the seconds of `work` are booked to it. Jobs to which
    it does not apply pass it by in their order, and nothing is booked for them.

    With more than one of `workers`, `work` is at so many jobs at once, each in another thread; they
    leave the stage in their order all the same.

    A stage that must see later jobs before it can finish earlier ones has `release` in place of
    `work`: it is given each job, and None after the last, and says which jobs go on now, in order.
    It keeps no more than a bounded number back and books its own seconds. Copied packets pass it.
    """

    name: str
    work: Callable[[Job], None]
    applies: Callable[[Job], bool] | None = None
    release: Callable[[Job | None], Sequence[Job]] | None = None
    workers: int = 1


@dataclass(slots=True)
class Counts:
    """What went through a run."""

    frames_in: int = 0
    frames_out: int = 0
    dropped: int = 0
    corrupt: int = 0
    objects: int = 0
    """Objects in the frame that came out last."""
    media_seconds: float = 0.0
    """How far into the media the last frame that came out lies, from the first frame on."""


@dataclass(slots=True)
class Outcome:
    """How a run ended."""

    counts: Counts
    seconds: float
    first_frame_seconds: float | None
    interrupted: bool
    error: BaseException | None = None
    queues: list[dict[str, Any]] = field(default_factory=list)


def _through(stage: Stage, items: Iterable[Job | Passthrough]) -> Iterator[Job | Passthrough]:
    """The items as they leave a stage."""
    if stage.release is not None:
        for item in items:
            if isinstance(item, Job):
                yield from stage.release(item)
            else:
                yield item
        yield from stage.release(None)
    elif stage.workers > 1:
        yield from _side_by_side(stage, items)
    else:
        for item in items:
            if isinstance(item, Job) and _applies(stage, item):
                _do(stage, item)
            yield item


def _applies(stage: Stage, job: Job) -> bool:
    return stage.applies is None or stage.applies(job)


def _do(stage: Stage, job: Job) -> None:
    with timed(job.frame.stages, stage.name):
        stage.work(job)


def _side_by_side(stage: Stage, items: Iterable[Job | Passthrough]) -> Iterator[Job | Passthrough]:
    """Works on several jobs at once; one more waits, so that no worker does."""
    begun: deque[tuple[Job | Passthrough, Future[None] | None]] = deque()
    waiting = 0
    with ThreadPoolExecutor(stage.workers, f"stream-{stage.name}") as pool:
        try:
            for item in items:
                if isinstance(item, Job) and _applies(stage, item):
                    begun.append((item, pool.submit(_do, stage, item)))
                    waiting += 1
                else:
                    begun.append((item, None))
                while begun and (waiting > stage.workers or _is_done(begun[0][1])):
                    waiting -= begun[0][1] is not None
                    yield _finished(*begun.popleft())
            while begun:
                yield _finished(*begun.popleft())
        finally:
            for _, future in begun:
                if future is not None:
                    future.cancel()


def _is_done(future: Future[None] | None) -> bool:
    return future is None or future.done()


def _finished(item: Job | Passthrough, future: Future[None] | None) -> Job | Passthrough:
    """The item once its work is done; raises what that raised."""
    if future is not None:
        future.result()
    return item


class Pipeline:
    """Runs a source's items through stages into a sink.

    Args:
        source: opened; the pipeline closes it.
        stages: in order; each gets a thread.
        sink: opened; the pipeline closes it, or aborts it where writing failed.
        clock: where stage durations are booked.
        when_full: WAIT for files; REPLACE_OLDEST lets the first channel drop frames (never copied
            packets) when the stages are slower than the source.
    """

    def __init__(
        self,
        source: Source,
        stages: Sequence[Stage],
        sink: Sink,
        clock: Clock,
        when_full: WhenFull = WhenFull.WAIT,
    ) -> None:
        self._source = source
        self._stages = list(stages)
        self._sink = sink
        self._clock = clock
        names = ["decoded", *(stage.name for stage in self._stages)]
        self._channels: list[Channel[Job | Passthrough]] = [
            Channel(
                f"{name} out" if index else name,
                CAPACITY,
                WhenFull.WAIT if index else when_full,
                droppable=lambda item: isinstance(item, Job),
            )
            for index, name in enumerate(names)
        ]
        self.counts = Counts()
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._aborting = threading.Event()
        self._started = 0.0
        self._first_frame: float | None = None
        self._first_media_seconds: float | None = None

    def stop(self) -> None:
        """Takes nothing more from the source; what is under way is finished and written."""
        self._stopping.set()
        self._source.close()

    def abort(self) -> None:
        """Stops at once; what was already saved stays playable."""
        self._aborting.set()
        self.stop()
        self._cancel()

    def run(self, on_tick: Callable[[], None] | None = None, tick: float = 0.1) -> Outcome:
        """Runs to the end of the source; returns how it ended, errors included.

        Args:
            on_tick: called about every `tick` seconds in the calling thread, for progress.
            tick: seconds.
        """
        self._started = time.perf_counter()
        first, last = self._channels[0], self._channels[-1]
        threads = [
            threading.Thread(target=self._read, args=(first,), name="stream-decode", daemon=True)
        ]
        threads += [
            threading.Thread(
                target=self._work,
                args=(stage, self._channels[index], self._channels[index + 1]),
                name=f"stream-{stage.name}",
                daemon=True,
            )
            for index, stage in enumerate(self._stages)
        ]
        threads.append(
            threading.Thread(target=self._write, args=(last,), name="stream-encode", daemon=True)
        )
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(tick)
                    if on_tick is not None:
                        on_tick()
        except BaseException:
            self.abort()
            raise
        finally:
            self._source.close()
        self.counts.corrupt = self._source.corrupt
        self.counts.dropped = sum(channel.dropped for channel in self._channels)
        return Outcome(
            counts=self.counts,
            seconds=time.perf_counter() - self._started,
            first_frame_seconds=self._first_frame,
            interrupted=self._stopping.is_set(),
            error=self._error,
            queues=[
                {
                    "name": channel.name,
                    "capacity": channel.capacity,
                    "high_water": channel.high_water,
                    "dropped": channel.dropped,
                    "when_full": channel.when_full.value,
                }
                for channel in self._channels
            ],
        )

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            if self._error is None:
                self._error = error
            else:
                logger.debug("a further error after the first", exc_info=error)

    def _cancel(self) -> None:
        for channel in self._channels:
            channel.cancel()

    def _read(self, out: Channel[Job | Passthrough]) -> None:
        try:
            for item in self._source:
                if self._stopping.is_set():
                    break
                if isinstance(item, Frame):
                    self.counts.frames_in += 1
                    out.put(Job(item))
                else:
                    out.put(item)
        except Cancelled:
            return
        except BaseException as error:  # noqa: BLE001 - carried to the caller of run
            if not self._stopping.is_set():
                self._fail(error)
        # After an error of the source, what was decoded before it is still finished and written.
        out.close()

    def _work(
        self, stage: Stage, inbox: Channel[Job | Passthrough], out: Channel[Job | Passthrough]
    ) -> None:
        try:
            for item in _through(stage, inbox):
                out.put(item)
        except Cancelled:
            return
        except BaseException as error:  # noqa: BLE001 - carried to the caller of run
            self._fail(error)
            # Upstream must not wait for this stage; what is downstream is finished and written.
            for channel in self._channels[: self._channels.index(out)]:
                channel.cancel()
        out.close()

    def _write(self, inbox: Channel[Job | Passthrough]) -> None:
        try:
            for item in inbox:
                if isinstance(item, Job):
                    self._write_frame(item.frame)
                else:
                    self._sink.write(item)
            self._sink.close()
        except Cancelled:
            self._abort_sink()
        except BaseException as error:  # noqa: BLE001 - carried to the caller of run
            self._fail(error)
            self._cancel()
            self._abort_sink()

    def _write_frame(self, frame: Frame) -> None:
        with timed(frame.stages, "encode"):
            self._sink.write(frame)
        now = time.perf_counter()
        for stage, seconds in frame.stages.items():
            self._clock.add(stage, seconds)
        self._clock.add(END_TO_END, now - frame.born)
        self._clock.frame_out()
        if self._first_frame is None:
            self._first_frame = now - self._started
            self._first_media_seconds = frame.seconds
        self.counts.frames_out += 1
        self.counts.objects = len(frame.instances) if frame.instances is not None else 0
        self.counts.media_seconds = frame.seconds - (self._first_media_seconds or 0.0)

    def _abort_sink(self) -> None:
        try:
            self._sink.abort()
        except Exception as error:  # noqa: BLE001 - the first error is the one to report
            self._fail(error)
