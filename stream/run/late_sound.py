"""The file of a recording that is over but for its sound, which may come after its pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from av.stream import Stream

from stream.run.time_line import from_origin
from stream.sinks.base import Sink
from stream.types import AnyPacket

LATEST = 6
"""Seconds by which sound may be later than its picture; a live source gives none that is more."""


class Heard:
    """Up to when sound has come, of each stream."""

    def __init__(self) -> None:
        self._until: dict[int, Fraction] = {}

    def add(self, packets: Iterable[AnyPacket]) -> None:
        """Some has come."""
        for packet in packets:
            if packet.pts is not None:
                at = packet.pts * packet.time_base
                stream = -1 if packet.stream is None else packet.stream.index
                self._until[stream] = max(at, self._until.get(stream, at))

    def lacks(self, at: Fraction) -> bool:
        """Whether sound from before a time is still to be expected; streams may have fallen silent.

        Args:
            at: in seconds, on the source's clock.
        """
        return any(at - LATEST <= until < at for until in self._until.values())


class Ending:
    """A file that has all its pictures.

    Args:
        sink: open.
        origin: where it begins, in seconds on the source's clock.
        end: where the next one begins; sound from there on is none of its.
        copied: the streams of which it has copies.
    """

    def __init__(
        self, sink: Sink, origin: Fraction, end: Fraction, copied: Sequence[Stream]
    ) -> None:
        self.sink, self._origin, self._end = sink, origin, end
        self.copied = copied

    def take(self, packets: Iterable[AnyPacket]) -> list[AnyPacket]:
        """Writes the sound that belongs to it; returns what does not.

        Raises:
            SinkError: it cannot be written.
        """
        mine: list[AnyPacket] = []
        others: list[AnyPacket] = []
        for packet in packets:
            early = packet.pts is not None and packet.pts * packet.time_base < self._end
            (mine if early else others).append(packet)
        sound = from_origin(mine, self._origin)
        if sound is not None:
            self.sink.write(sound)
        return others

    def is_over(self, heard: Heard, at: Fraction | None = None) -> bool:
        """Whether nothing more comes for it.

        Args:
            heard: what sound has come.
            at: the time of the newest picture.
        """
        return not heard.lacks(self._end) or (at is not None and at >= self._end + LATEST)
