"""A muxer that writes nowhere, to find out which packets the real one would refuse.

FFmpeg's muxers keep packets for a while to put those of all streams in order. So an error comes
with another packet than the one that is at fault, or at the end, and takes what waits with it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from fractions import Fraction

import av
from av.container import OutputContainer
from av.stream import Stream

from stream.pictures.references import packet_copy
from stream.sinks._containers import ContainerKind, muxer_options
from stream.types import AnyPacket

_TICK = Fraction(1, 1000)
_FAILURES = (av.FFmpegError, OSError, ValueError)
# Seconds that a packet lasts where it does not say.
_SOME = Fraction(1, 50)


class _Nowhere:
    """A file that keeps nothing but the place and the length."""

    def __init__(self) -> None:
        self._at = self._end = 0

    def write(self, data: bytes) -> int:
        self._at += len(data)
        self._end = max(self._end, self._at)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._end)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def seekable(self) -> bool:
        return True


class Scratch:
    """One stream alone in a container of a kind, written nowhere."""

    def __init__(self, kind: ContainerKind, add: Callable[[OutputContainer], Stream]) -> None:
        """Opens it.

        Args:
            kind: the container.
            add: adds the stream.
        """
        options = muxer_options(kind, _TICK, [], ())
        # Which keeps the place of every packet in memory.
        options["movflags"] = options.get("movflags", "").replace("+hybrid_fragmented", "")
        self._container = av.open(_Nowhere(), "w", format=kind.format, container_options=options)
        self._reached = 0
        self._stream = add(self._container)
        self._container.start_encoding()

    def refuses(self, packet: AnyPacket) -> bool:
        """Whether a packet would not be taken; it stays as it is."""
        own = packet_copy(packet)
        clock = Fraction(self._stream.time_base or _TICK)
        lasts = (packet.duration or 0) * Fraction(packet.time_base) or _SOME
        own.stream, own.time_base = self._stream, clock
        # One after the other, whatever the times of damaged files are.
        own.pts = own.dts = self._reached
        self._reached += max(1, round(min(lasts, Fraction(1)) / clock))
        try:
            self._container.mux_one(own)
        except _FAILURES:
            return True
        return False

    def close(self) -> None:
        """Lets go of it."""
        with contextlib.suppress(*_FAILURES):
            self._container.close()
