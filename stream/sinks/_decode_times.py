"""Decoding times that make a track of an MP4 exactly as long as its pictures last."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from stream.types import AnyPacket


class DecodeTimes:
    """Gives packets decoding times at a constant distance from the presentation times.

    An MP4 track's length is the sum of the steps between its packets' decoding times. Encoders
    delay those by a number of pictures (two, with B-frames), which is a different time at the
    beginning than at the end where the frame rate varies; the track would come out too long or
    too short by that difference. At a constant frame rate nothing is changed.
    """

    def __init__(self) -> None:
        self._shown: deque[int] = deque()
        self._delay: int | None = None
        self._last: int | None = None

    def encoded(self, pts: int) -> None:
        """Notes that a picture went into the encoder, in presentation order."""
        self._shown.append(pts)

    def assign(self, packets: Sequence[AnyPacket], *, final: bool) -> None:
        """Sets the decoding times of packets, in decoding order.

        Args:
            packets: what the encoder gave out.
            final: whether these are the last packets, so that none comes after them that would
                have to be shown early.
        """
        latest = [_known(packet.dts) for packet in packets]
        if final:
            soonest = None
            for place in reversed(range(len(packets))):
                pts = _known(packets[place].pts)
                soonest = pts if soonest is None else min(pts, soonest - 1)
                latest[place] = soonest
        for packet, bound in zip(packets, latest, strict=True):
            if not self._shown:
                return
            shown = self._shown.popleft()
            if self._delay is None:
                self._delay = shown - _known(packet.dts)
            at = min(shown - self._delay, bound)
            packet.dts = at if self._last is None else max(self._last + 1, at)
            self._last = packet.dts

    def last_step(self, end: int) -> int:
        """How long the packet decoded last must be said to be, for the track to reach `end`."""
        return max(1, end - (self._delay or 0) - (self._last or 0))


def _known(time: int | None) -> int:
    """A time of a packet that an encoder gave; such packets have both."""
    assert time is not None
    return time
