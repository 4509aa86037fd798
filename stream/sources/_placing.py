"""Packets of other streams, placed on the frames' clock and within the cut."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import ceil, floor

from stream.frame import Passthrough
from stream.sources._decoded import Decoded
from stream.sources._timeline import Timeline
from stream.types import AnyPacket

# Sound that lies further than this behind the last wanted picture is not waited for, in seconds.
_SOUND_LAG = 10


class Placing:
    """Puts packets on the clock that the frames are on, and leaves out what lies outside the cut.

    Args:
        timeline: the frames' clock.
        start: seconds on it from which on packets are wanted; None for all.
        end: seconds on it up to which they are; None for all.

    Attributes:
        start: see above.
        end: see above; may become known on the way.
        reached: where the packets so far end, in seconds on the frames' clock.
    """

    def __init__(self, timeline: Timeline, start: Fraction | None, end: Fraction | None) -> None:
        self._timeline = timeline
        self.start, self.end = start, end
        self.reached = Fraction(0)

    @property
    def cut(self) -> tuple[Fraction | None, Fraction | None]:
        """Where it starts and ends."""
        return self.start, self.end

    def seconds(self, packet: AnyPacket, stored: int) -> Fraction:
        """A time of a packet's, as its file has it, in seconds on the frames' clock."""
        return stored * Fraction(packet.time_base) - self._timeline.zero

    def __call__(self, packet: AnyPacket) -> AnyPacket | None:
        """The packet on the frames' clock, or None where it lies outside the cut."""
        tick, duration = Fraction(packet.time_base), packet.duration or 0
        stored = packet.pts if packet.pts is not None else packet.dts
        if stored is None:
            return packet
        leads = packet.stream.type in ("video", "audio")  # which come all the time
        at = self._timeline.shifted(stored, duration, tick, packet.stream_index, leads=leads)
        self.reached = max(self.reached, (at + duration) * tick)
        if self.start is not None and (at + duration) * tick <= self.start:
            return None
        if self.end is not None and at * tick >= self.end:
            return None
        if packet.stream.type == "subtitle":
            at = self._shortened(packet, at, tick)
        moved = at - stored
        if moved:
            packet.pts = None if packet.pts is None else packet.pts + moved
            packet.dts = None if packet.dts is None else packet.dts + moved
        return packet

    def _shortened(self, packet: AnyPacket, at: int, tick: Fraction) -> int:
        """Has a subtitle last as long as the cut has of it; when it begins then, in ticks.

        Else the film would begin or end with it, seconds before or behind its pictures.
        """
        begin, until = at, at + (packet.duration or 0)
        if self.start is not None:
            begin = max(begin, ceil(self.start / tick))
        if self.end is not None:
            until = min(until, floor(self.end / tick))
        if packet.duration and begin < until:
            packet.duration = until - begin
            return begin
        return at

    def release(self, held: deque[AnyPacket], until: Fraction | None) -> Iterator[Passthrough]:
        """Lets go of packets that waited, in their order, up to a time in seconds; None for all."""
        while held:
            first = held[0]
            at = first.pts if first.pts is not None else first.dts
            if until is not None and at is not None and self.seconds(first, at) >= until:
                return
            held.popleft()
            if (packet := self(first)) is not None:
                yield Passthrough((packet,))

    def rest(
        self,
        pieces: Iterable[AnyPacket | Decoded],
        sound: Iterable[int],
        picture: int,
        tick: Fraction,
    ) -> Iterator[Passthrough]:
        """What was not read yet, up to the end that is wanted, behind which a picture has come.

        Args:
            pieces: packets, and pictures where what is read is several recordings.
            sound: the indices of its streams, each of which is waited for.
            picture: its stream's index.
            tick: seconds per tick of that.
        """
        missing: set[int] = set(sound)
        first: int | None = None
        for piece in pieces:
            own = piece.stored if isinstance(piece, Decoded) else piece.dts
            if own is None or (not isinstance(piece, Decoded) and piece.size == 0):
                continue
            if isinstance(piece, Decoded) or piece.stream_index == picture:
                first = own if first is None else first
                if (own - first) * tick > _SOUND_LAG:
                    return
            elif (placed := self(piece)) is not None:
                yield Passthrough((placed,))
            else:
                missing.discard(piece.stream_index)
            if not missing:
                return
