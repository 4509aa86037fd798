"""Decoding times that make a track of an MP4 exactly as long as its pictures last."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise

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


class Steps:
    """Tells each packet how long it is until the next is decoded, for which it waits.

    Where sound that is far ahead ends a fragment, FFmpeg takes the next picture to be decoded when
    the last packet says it ends, and shows it at another time where that is not so.
    """

    def __init__(self) -> None:
        self._held: AnyPacket | None = None

    def told(
        self, packets: Sequence[AnyPacket], newest: int, *, final: bool
    ) -> Sequence[AnyPacket]:
        """The packets whose step is known now, in decoding order; of the last ones, all.

        Args:
            packets: the next ones, with their decoding times.
            newest: the time of the picture that came last.
            final: whether none comes after them.
        """
        known = [*([] if self._held is None else [self._held]), *packets]
        for packet, after in pairwise(known):
            step = _known(after.dts) - _known(packet.dts)
            # No packet may claim to be shown for longer than all.
            if not final and _known(packet.pts) + step <= newest:
                packet.duration = step
        self._held = None if final or not known else known.pop()
        return known


def _known(time: int | None) -> int:
    """A time of a packet that an encoder gave; such packets have both."""
    assert time is not None
    return time
