"""The live runner: source, inference, display and recording, each at its own pace."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream import tracking
from stream.errors import StreamError
from stream.frame import Frame, Passthrough, VideoInfo
from stream.live.controls import Controls
from stream.live.masks import PresentMasks
from stream.live.panel import CAPTURE_TO_DISPLAY, LivePanel
from stream.live.recorder import Recorded, Recorder
from stream.mailbox import Closed, Mailbox
from stream.pipeline import Counts, Outcome
from stream.sinks.base import Sink
from stream.sinks.display import Display
from stream.sources.base import Source
from stream.timing import Clock, timed

if TYPE_CHECKING:
    from stream.inference.segmenter import Segmenter

logger = logging.getLogger(__name__)

_STILL_AFTER = 0.5
"""Seconds without a picture after which the display says so."""

_MESSAGE_SECONDS = 3.0
_SECOND = 1.0
_WEIGHT = 0.05


class LiveRun:
    """Runs a live source: what is shown is always the newest picture, with its own masks.

    A thread drains the source; another gives each newest picture its instances, paints it and
    hands it to displays and recording; inference and the encoder have threads of their own. None
    waits for another, so a slow one costs nothing but its own pictures, which are counted.

    Args:
        source: opened; closed at the end.
        segmenter: finds the objects.
        controls: how pictures are painted.
        clock: where durations are booked.
        every: inference on every this many pictures; None: as often as the display allows.
        steady: whether objects are kept through moments of doubt (the tracker `steady`).
        displays: where pictures are shown.
        open_sink: opens a recording's file.
    """

    def __init__(
        self,
        source: Source,
        segmenter: Segmenter,
        controls: Controls,
        clock: Clock,
        *,
        every: int | None = None,
        steady: bool = False,
        displays: Sequence[Display] = (),
        open_sink: Callable[[Path, VideoInfo], Sink] | None = None,
    ) -> None:
        self._source = source
        self._controls = controls
        self._clock = clock
        self._displays = list(displays)
        self._open_sink = open_sink
        self._frames: Mailbox[Frame] = Mailbox("captured", 1)
        self._masks = PresentMasks(segmenter, every, tracking.make("steady") if steady else None)
        self._panel = LivePanel(clock, segmenter.provider, lambda: self.dropped)
        self._lock = threading.Lock()
        self._recorder: Recorder | None = None
        self._recording_lock = threading.Lock()
        self.recordings: list[Recorded] = []
        self.remarks: list[str] = []
        self.counts = Counts()
        self._drained = 0
        self._unfinished = 0
        self._unseen = _Settled()
        self._newest = _Settled()
        self.last_shown: Frame | None = None
        self._last_info = source.info
        self._error: BaseException | None = None
        self._stopping = threading.Event()
        self._aborting = threading.Event()
        self._message = ("", 0.0)
        self._shown_at = time.perf_counter()
        self.done = threading.Event()
        """Set once every thread but the caller's has finished."""
        self._started = time.perf_counter()
        self._ended: float | None = None
        self._first_frame: float | None = None
        self._first_seconds: float | None = None
        self._threads = [
            threading.Thread(target=self._drain, name="stream-capture", daemon=True),
            threading.Thread(target=self._show_all, name="stream-show", daemon=True),
        ]

    # What the run says of itself.

    @property
    def dropped(self) -> int:
        """Frames of the source that went nowhere: newer ones were there, or the run ended first.

        Each frame is counted once: here, or in `counts.frames_out`.
        """
        own = self._frames.dropped + self._unseen.frames + self._unfinished
        return own + self._dropped_by_source

    @property
    def _dropped_by_source(self) -> int:
        return int(getattr(self._source, "dropped", 0))

    @property
    def reconnects(self) -> int:
        """How often the source came back."""
        return int(getattr(self._source, "reconnects", 0))

    @property
    def source_remarks(self) -> list[str]:
        """What the source says of itself, a sentence each."""
        return self._source.remarks

    @property
    def inferred(self) -> int:
        """Frames shown with their own inference."""
        return self._masks.inferred - self._unseen.inferred

    @property
    def carried(self) -> int:
        """Frames shown with instances carried to them."""
        return self._masks.carried - self._unseen.carried

    @property
    def recording(self) -> Path | None:
        """The file that is being recorded, if one is."""
        recorder = self._recorder
        return None if recorder is None else recorder.recorded.path

    def outcome(self) -> Outcome:
        """How things stand, and at the end how the run ended."""
        self.counts.corrupt = self._source.corrupt
        self.counts.dropped = self.dropped
        # What the source itself let go of is also a frame that came in.
        self.counts.frames_in = self._drained + self._dropped_by_source
        return Outcome(
            counts=self.counts,
            seconds=(self._ended or time.perf_counter()) - self._started,
            first_frame_seconds=self._first_frame,
            interrupted=self._stopping.is_set(),
            error=self._error,
            queues=[_queue(self._frames)],
        )

    # What can be done to it, from any thread.

    def stop(self) -> None:
        """Takes nothing more from the source; what is under way is shown and written."""
        self._stopping.set()
        self._source.close()

    def abort(self) -> None:
        """Stops at once; what was recorded stays playable."""
        self._aborting.set()
        self._leave(self._frames.close(clear=True))
        self.stop()

    def start_recording(self, path: Path) -> None:
        """Begins a recording with the next frame.

        Raises:
            StreamError: one is under way, or the file cannot be written.
        """
        if self._open_sink is None:
            raise StreamError("this run cannot record")
        with self._recording_lock:
            if self._recorder is not None:
                raise StreamError(f"{self._recorder.recorded.path} is being recorded already")
            self._recorder = Recorder(path, self._last_info, self._open_sink)

    def stop_recording(self) -> Recorded | None:
        """Finishes the recording; returns what is in it, or None where there was none."""
        with self._recording_lock:
            recorder, self._recorder = self._recorder, None
        if recorder is None:
            return None
        recorder.close(abort=self._aborting.is_set())
        self.remarks += recorder.remarks
        self.recordings.append(recorder.recorded)
        if recorder.error is not None:
            raise recorder.error
        return recorder.recorded

    def say(self, text: str) -> None:
        """Shows a line to who watches, for a moment."""
        self._message = (text, time.perf_counter() + _MESSAGE_SECONDS)

    def shown(self, frame: Frame) -> None:
        """A display's word that a frame is on the screen now."""
        self._clock.add(CAPTURE_TO_DISPLAY, time.perf_counter() - frame.born)
        self._clock.frame_out()

    def run(
        self,
        on_tick: Callable[[], None] | None = None,
        pump: Callable[[float], bool] | None = None,
        tick: float = 0.1,
    ) -> Outcome:
        """Runs until the source ends or the run is stopped; returns how it ended.

        Args:
            on_tick: called about every `tick` seconds in the calling thread.
            pump: serves a window for up to so many seconds, in the calling thread, which is the
                main one; False from it ends the run.
            tick: seconds.
        """
        self._started = time.perf_counter()
        for thread in self._threads:
            thread.start()
        ticked = 0.0
        try:
            while not self.done.is_set():
                if pump is None:
                    self.done.wait(tick)
                elif not pump(0.01) and not self._stopping.is_set():
                    self.stop()
                self._refresh_notices()
                if on_tick is not None and time.perf_counter() - ticked >= tick:
                    ticked = time.perf_counter()
                    on_tick()
        except BaseException:
            self.abort()
            raise
        finally:
            self._source.close()
            self._frames.close()
            for thread in self._threads:
                thread.join()
        return self.outcome()

    # The threads.

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            if self._error is None:
                self._error = error
            else:
                logger.debug("a further error after the first", exc_info=error)

    def _drain(self) -> None:
        """Takes everything from the source as it comes."""
        last: float | None = None
        try:
            for item in self._source:
                if self._stopping.is_set():
                    break
                if isinstance(item, Passthrough):
                    self._record(item)
                    continue
                self._drained += 1
                if last is not None and 0 < item.seconds - last < 1:
                    self._masks.interval += _WEIGHT * (item.seconds - last - self._masks.interval)
                last = item.seconds
                if not self._frames.put(item):
                    self._leave(1)
        except BaseException as error:  # noqa: BLE001 - carried to the caller of run
            if not self._stopping.is_set():
                self._fail(error)
        self._frames.close()

    def _leave(self, frames: int) -> None:
        """Counts frames that came in and will not get through."""
        with self._lock:
            self._unfinished += frames

    def _record(self, item: Frame | Passthrough) -> bool:
        """Gives it to the recording, if there is one; returns whether there was."""
        recorder = self._recorder
        if recorder is None:
            return False
        recorder.put(item)
        if recorder.error is not None:
            self._fail(recorder.error)
            self.stop()
        return True

    def _show_all(self) -> None:
        """Gives each newest frame its masks and shows it."""
        try:
            self._show_while_open()
        except BaseException as error:  # noqa: BLE001 - carried to the caller of run
            self._fail(error)
            self.stop()
        self._ended = time.perf_counter()
        try:
            self.stop_recording()
        except BaseException as error:  # noqa: BLE001 - carried to the caller of run
            self._fail(error)
        # The recording is safe; the inference under way cannot be ended from outside.
        self._masks.close()
        self.done.set()

    def _show_while_open(self) -> None:
        second = time.perf_counter()
        before = (0, 0)
        while True:
            try:
                frame = self._frames.take()
            except Closed:
                return
            if frame is None:
                continue
            self._show(frame)
            now = time.perf_counter()
            if now - second >= _SECOND:
                second = now
                painted = self.counts.frames_out + self._unseen.frames
                counted = (self._frames.dropped, painted)
                lost, came = counted[0] - before[0], counted[1] - before[1]
                self._masks.adapt(keeps_up=lost <= 0.05 * (lost + came))
                before = counted

    def _refresh_notices(self) -> None:
        """Tells the displays what is not part of a picture: that none comes, what a key did."""
        now = time.perf_counter()
        lines: list[str] = []
        if now - self._shown_at > _STILL_AFTER:
            lines += getattr(self._source, "notes", ())
        text, until = self._message
        if now < until:
            lines.append(text)
        for display in self._displays:
            display.notice(lines)

    def _show(self, frame: Frame) -> None:
        self._last_info = _info_of(frame, self._source.info)
        before = _Settled(0, self._masks.inferred, self._masks.carried)
        try:
            self._masks.settle(frame)
            with timed(frame.stages, "composite"):
                self._paint(frame)
        except BaseException:
            self._leave(1)
            raise
        self.last_shown = frame
        self._shown_at = time.perf_counter()
        recorded = self._record(frame)
        self._count(frame)
        self._hand_over(frame)
        # Frames in a recording came out, whether the displays had time for them or not.
        settled = (self._masks.inferred - before.inferred, self._masks.carried - before.carried)
        self._newest = _Settled() if recorded else _Settled(1, *settled)

    def _hand_over(self, frame: Frame) -> None:
        """Gives a frame to the displays; the last one was in vain where it is still unseen."""
        unseen = bool(self._displays)
        for display in self._displays:
            before = display.dropped
            display.write(frame)
            unseen &= display.dropped > before
        if not self._displays:
            self.shown(frame)
        if unseen:
            self.counts.frames_out -= self._newest.frames
            self._unseen += self._newest

    def _paint(self, frame: Frame) -> None:
        painter = self._controls.painter()
        painter.paint(frame, self._panel.lines() if painter.timing else ())

    def _count(self, frame: Frame) -> None:
        for stage, seconds in frame.stages.items():
            self._clock.add(stage, seconds)
        if self._first_seconds is None:
            self._first_frame = time.perf_counter() - self._started
            self._first_seconds = frame.seconds
        self.counts.frames_out += 1
        self.counts.objects = len(frame.instances) if frame.instances is not None else 0
        self.counts.media_seconds = frame.seconds - self._first_seconds


@dataclass(frozen=True, slots=True)
class _Settled:
    """How many frames, and how many of them with which kind of masks."""

    frames: int = 0
    inferred: int = 0
    carried: int = 0

    def __add__(self, other: _Settled) -> _Settled:
        return _Settled(
            self.frames + other.frames,
            self.inferred + other.inferred,
            self.carried + other.carried,
        )


def _info_of(frame: Frame, info: VideoInfo) -> VideoInfo:
    """What a recording that begins with this frame is to know: its size, not the first one's."""
    picture = frame.picture
    kind = (picture.width, picture.height, picture.format.name)
    if kind == (info.width, info.height, info.pixel_format):
        return info
    return replace(info, width=kind[0], height=kind[1], pixel_format=kind[2])


def _queue(mailbox: Mailbox[Any]) -> dict[str, Any]:
    return {
        "name": mailbox.name,
        "capacity": mailbox.capacity,
        "high_water": mailbox.high_water,
        "dropped": mailbox.dropped,
        "when_full": "replace oldest",
    }
