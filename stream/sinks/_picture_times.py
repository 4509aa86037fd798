"""When each picture of a film is shown, and for how long, on its container's clock."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from stream.frame import Frame
from stream.sinks._containers import ContainerKind
from stream.sinks._decode_times import DecodeTimes, Steps
from stream.sinks._gaps import Gaps
from stream.types import AnyPacket

_HALF, _TENTH = Fraction(1, 2), Fraction(1, 10)

_WRAP = Fraction(2**33, 90_000)
"""Seconds that the clock of MPEG-TS has (ISO/IEC 13818-1)."""
_FILES = (".ts", ".mts", ".m2ts")
"""Of MPEG-TS; whoever is sent it as it happens follows its clock."""

_IN_ORDER = 2
"""So few pictures are decoded in the order in which they are shown: none can lie between others."""


class PictureTimes:
    """Places frames on an output's clock, in order, and gives their packets times to match.

    Attributes:
        shuffled: how many pictures are shown at another time than their own, since the container's
            clock, or another picture, leaves no room there.
        off: frames of the container's grid by which one is shown off its own time at most.
    """

    def __init__(self, kind: ContainerKind, tick: Fraction) -> None:
        """Begins a film.

        Args:
            kind: the container.
            tick: seconds per tick of the pictures' clock.
        """
        self.shuffled = 0
        self.off = Fraction(0)
        self._tick = tick
        # Half a tick is rounding; a grid of frames is coarse enough for less to show.
        self._rounding = _HALF if kind.timestamps else _TENTH
        # Where a container has no times, its first picture is at 0.
        self._origin = Fraction(0) if kind.timestamps else None
        self._decode_times = DecodeTimes() if kind.by_decode_time else None
        self._steps = Steps() if kind.by_decode_time else None
        self._gaps = Gaps(kind, tick)
        self._wraps = kind.format == "mpegts"
        self._given = False
        self._durations: dict[int | None, int] = {}
        self._last: int | None = None
        self._end: int | None = None

    @property
    def begun(self) -> bool:
        """Whether a picture has come."""
        return self._last is not None

    @property
    def repeats(self) -> bool:
        """Whether the last picture may be shown again: it is to be kept."""
        return self._gaps.any

    def place(self, frame: Frame) -> tuple[Sequence[int], int]:
        """Says when a frame is shown.

        Args:
            frame: the next one.

        Returns:
            At which ticks the one before is shown again first, and the frame's own tick.
        """
        now = frame.pts * frame.time_base
        if self._origin is None:
            self._origin = now
        exact = (now - self._origin) / self._tick
        at = round(exact)
        again: Sequence[int] = ()
        if self._last is not None:
            at = max(at, self._last + 1)
            again, left_out = self._gaps.between(self._last, at)
            self._origin += left_out * self._tick
            exact, at = exact - left_out, at - left_out
        self.shuffled += abs(exact - at) > self._rounding
        self.off = max(self.off, abs(exact - at))
        self._last = at
        self._end = None
        if frame.duration:
            end = round((now + frame.duration * frame.time_base - self._origin) / self._tick)
            self._end = max(at + 1, end)
            self._durations[at] = self._end - at
        if self._decode_times is not None:
            for one in (*again, at):
                self._decode_times.encoded(one)
        return again, at

    def assign(self, packets: Sequence[AnyPacket], *, final: bool) -> Sequence[AnyPacket]:
        """Sets what the encoder does not know: durations, and the decoding times of an MP4.

        Args:
            packets: what the encoder gave out, in decoding order.
            final: whether these are the last ones.

        Returns:
            The packets to write now; of an MP4 the newest waits for the next.
        """
        if final and not self._given and len(packets) <= _IN_ORDER:
            # x265 makes up decoding times where fewer pictures come than it delays them by.
            for packet in packets:
                packet.dts = packet.pts
        self._given = self._given or bool(packets)
        if self._decode_times is not None:
            self._decode_times.assign(packets, final=final)
        for packet in packets:
            duration = self._durations.pop(packet.pts, None)
            if self._decode_times is not None and final and packet is packets[-1] and self._end:
                duration = self._decode_times.last_step(self._end)
            if duration is not None:
                packet.duration = duration
        if self._steps is None:
            return packets
        return self._steps.told(packets, self._last or 0, final=final)

    def remarks(self, ending: str) -> list[str]:
        """What became of pauses and times that the container cannot hold, a sentence each.

        Args:
            ending: of the file, for people.
        """
        found = self._gaps.remarks(ending)
        if self._wraps and ending in _FILES and (self._last or 0) * self._tick >= _WRAP:
            found.append(
                f"times of {ending} begin again after 26.5 hours, which not all players follow; "
                "--part-minutes makes several files of what is live, and .mkv holds any times"
            )
        return found
