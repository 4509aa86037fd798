"""Footage that behaves like a camera: in real time, over and over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import ClassVar

from stream.errors import SourceError
from stream.frame import Frame
from stream.settings.options import InputOptions
from stream.sources._clock import MACHINE, Clock
from stream.sources.base import Source, Target
from stream.sources.live import LiveSource, planar
from stream.sources.live_timeline import TICKS

_PREFIX = "loop:"

_EARLY = 0.2
"""Share of the time between two pictures by which one is ready before it is due."""

_FADES = 0.9
"""What is left of the longest decoding's weight with each picture."""


class LoopedSource(LiveSource):
    """Plays a source at its own pace, again and again, with timestamps that run on.

    Like a camera it does not wait: a picture that is not taken before the next but one is due is
    left out and counted. A picture is born when it is due, less the time its decoding took, which
    a real camera would have needed after the exposure. It is decoded shortly before it is due:
    at once after the one before, decoding would take the processor from that one's inference.

    Args:
        make: opens the source anew for every round.
        rate: pictures per second, in place of the footage's own pace.
        rounds: how often it is played; None for ever.
        clock: tells the time and waits.
    """

    priority: ClassVar[int] = 20
    heeds: ClassVar[tuple[str, ...]] = ("fps", "hwaccel")
    targets: ClassVar[str] = f"`{_PREFIX}` and a file to play it like a camera"

    def __init__(
        self,
        make: Callable[[], Source],
        *,
        rate: Fraction | None = None,
        rounds: int | None = None,
        clock: Clock = MACHINE,
    ) -> None:
        self._clock = clock
        self._make = make
        self._rate = rate
        self._rounds = rounds
        self._closed = threading.Event()
        self._ends = False
        self._source = make()
        self.info = replace(
            self._source.info,
            time_base=TICKS,
            rate=rate or self._source.info.rate,
            frames=None,
            duration=None,
            copied=(),
            live=True,
        )
        self._usual = 1 / (self.info.rate or Fraction(30))

    @classmethod
    def accepts(cls, target: Target) -> bool:
        """Whether it is `loop:` and something to play."""
        return isinstance(target, str) and target.startswith(_PREFIX)

    @classmethod
    def from_target(cls, target: Target, options: InputOptions) -> LoopedSource:
        """Plays what stands behind `loop:`, at the rate asked of a camera."""
        from stream.sources import open as open_target

        played = str(target).removeprefix(_PREFIX)
        fps = options.camera.fps
        rate = None if fps is None else Fraction(fps).limit_denominator(1001)
        return cls(lambda: open_target(played, options), rate=rate)

    def close(self) -> None:
        """Ends the iteration and closes the footage."""
        self._closed.set()
        self._source.close()

    def __iter__(self) -> Iterator[Frame]:
        start: float | None = None
        index = 0
        decoding = 0.0
        for frame, due_seconds in self._timed():
            now = self._clock.now()
            if start is None:
                start = now - float(due_seconds)
            due = start + float(due_seconds)
            if now < due:
                if self._clock.wait(self._closed, due - now):
                    return
            elif now - due > 2 * float(self._usual):
                self.dropped += 1
                if now - due > 1:
                    start += now - due  # the machine slept or stalled; go on from here
                continue
            pts = round(due_seconds / TICKS)
            frame.image = planar(frame.image)
            frame.image.pts, frame.image.time_base = pts, TICKS
            frame.index, frame.pts, frame.time_base = index, pts, TICKS
            frame.duration = None
            frame.captured_at = due - frame.stages.get("decode", 0.0)
            yield frame
            index += 1
            decoding = max(_FADES * decoding, frame.stages.get("decode", 0.0))
            if not self._ends and not self._closed.is_set():
                early = _EARLY * float(self._usual) + 2 * decoding
                rest = due + float(self._usual) - early - self._clock.now()
                if rest > 0 and self._clock.wait(self._closed, rest):
                    return

    def _timed(self) -> Iterator[tuple[Frame, Fraction]]:
        """Frames with the media time at which each is due, over all rounds."""
        offset = Fraction(0)
        played = 0
        number = 0
        while not self._closed.is_set():
            first: Fraction | None = None
            last = Fraction(0)
            left = self._source.info.frames
            for item in self._source:
                if self._closed.is_set():
                    return
                if not isinstance(item, Frame):
                    continue
                own = item.pts * item.time_base
                if first is None:
                    first = own
                last = own - first
                if left is not None:
                    left -= 1
                # Opening it anew takes longer than decoding.
                self._ends = left is not None and left <= 0
                yield item, (number / self._rate if self._rate else offset + last)
                number += 1
            if first is None:
                raise SourceError(f"{self.info.name} has no pictures to play")
            offset += last + self._usual
            played += 1
            self._source.close()
            if self._rounds is not None and played >= self._rounds:
                return
            self._source = self._make()
            if self._closed.is_set():
                self._source.close()
