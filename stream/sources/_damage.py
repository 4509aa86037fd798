"""What of a stream came damaged, of which its container and its decoder tell, each at times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
from av.stream import Stream

from stream.types import AnyPacket
from stream.wording.words import counted

_LONGEST = 60.0
"""Seconds for which pictures are taken for scrambled. What has had no key frame by then has none:
such streams mend themselves bit by bit."""

_REORDERED = 5
"""Seconds that a picture may be shown before one that was sent earlier. What is earlier by more has
another clock, as where who sends begins anew."""

_SUSPECTS = 3
"""Packets that may be what was lost: the one that is told of, and those behind it."""


class Damage:
    """Counts what came damaged or could not be decoded, each loss once, whoever tells of it.

    A transport stream says so of a packet up to two before the one of which something was lost. The
    decoder says so of some of the pictures that it made of that, and of none of those that it makes
    from them, which are as scrambled until the next key frame.

    Args:
        joined: the stream may be several, one behind the other: where these meet a loss is told of
            that is none, shortly before a key frame.

    Attributes:
        count: packets or pictures.
    """

    def __init__(self, *, joined: bool = False) -> None:
        self.count = 0
        self._joined = joined
        self._flagged = self._suspects = self._told = 0
        self._latest: int | None = None
        self._since: Fraction | None = None
        self._mends_itself = False

    def packet(self, packet: AnyPacket) -> None:
        """Looks at a packet before it is decoded."""
        if packet.is_corrupt:
            self._flagged += 1
            self._suspects = _SUSPECTS
        if self._joined and packet.is_keyframe:
            if self._suspects:
                self._since = self._latest = None
            self._flagged = self._suspects = 0
        if self._suspects:
            self._suspects -= 1
            self._begin(packet.pts, packet.time_base)
        if not (self._joined and self._suspects):
            self.count += self._flagged
            self._told += self._flagged
            self._flagged = 0

    def failed(self, packet: AnyPacket | None = None) -> None:
        """A packet could not be read or decoded."""
        self._count_once()
        if packet is not None:
            self._begin(packet.pts, packet.time_base)

    def picture(self, picture: av.VideoFrame) -> bool:
        """Looks at a picture; whether it is whole, as far as is known."""
        if picture.is_corrupt:
            self._count_once()
            self._begin(picture.pts, picture.time_base)
        elif picture.key_frame and not self._precedes(picture):
            self._told, self._since, self._latest = 0, None, None
            self._mends_itself = False
        if self._since is None:
            return not picture.is_corrupt
        if picture.pts is not None and picture.time_base is not None:
            waited = abs(picture.pts * picture.time_base - self._since)
            self._mends_itself |= waited > _LONGEST
        return self._mends_itself

    def _precedes(self, picture: av.VideoFrame) -> bool:
        """Whether a picture comes before what may be lost; by another clock it does not."""
        if self._latest is None or picture.pts is None:
            return False
        behind = self._latest - picture.pts
        return behind >= 0 and behind * (picture.time_base or 0) <= _REORDERED

    def _count_once(self) -> None:
        if self._told:
            self._told -= 1
        else:
            self.count += 1

    def _begin(self, pts: int | None, time_base: Fraction | None) -> None:
        """What comes from this time on may be scrambled."""
        if pts is None or not time_base:
            return
        self._latest = pts if self._latest is None else max(pts, self._latest)
        if self._since is None:
            self._since = pts * time_base


def without_meetings(packets: Iterable[AnyPacket], picture: Stream) -> Iterator[AnyPacket]:
    """The same packets, of which those before a meeting of two streams count as whole.

    What is told of there is told of packets up to two before the key frame with which the next one
    begins. So a packet that is told of waits, and what follows it, until it shows which it is.

    Args:
        packets: of all streams, in order.
        picture: the picture's stream.
    """
    held: list[AnyPacket] = []
    waits = 0
    for packet in packets:
        if packet.stream is picture:
            if packet.is_keyframe:
                for one in held:
                    one.is_corrupt = False
                waits = 0
            elif packet.is_corrupt:
                waits = _SUSPECTS - 1
            elif waits:
                waits -= 1
        held.append(packet)
        if not waits:
            yield from held
            held.clear()
    yield from held


def told_of_losses(name: str, corrupt: int, left_out: int) -> list[str]:
    """What is said of a network source at the end where something of it was lost.

    Args:
        name: the source's.
        corrupt: packets or pictures that came damaged.
        left_out: scrambled pictures that were not shown.
    """
    if left_out:
        pictures = counted(left_out, "picture")
        return [f"{pictures} of {name} that a loss had scrambled left out, as asked for"]
    if corrupt:
        return [
            f"{counted(corrupt, 'packet')} of {name} came damaged or not at all, which scrambles "
            "pictures up to the next key frame; --skip-scrambled leaves those out"
        ]
    return []
