"""What packets say of who sends them, which may change within a connection.

A sender that begins anew with other settings need not break the connection off: RTMP servers go on
with the next publisher, and UDP knows of none. FFmpeg's streams keep saying what they were at
first.
"""

from __future__ import annotations

from fractions import Fraction

from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from stream.types import AnyPacket

OTHER = b"?"
"""The mark of a packet that is none of the stream's codec."""

_HEADER = 6

_BACK, _ON = 1, 10
"""Seconds by which a sender's times go back or on where it has begun anew."""


class Sender:
    """Tells by a picture's packets that the sender has begun anew: by its settings or its clock.

    Args:
        stream: as it was opened.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._setup = bytes(stream.codec_context.extradata or b"")
        self._last: Fraction | None = None
        self._before: Fraction | None = None

    def begins_anew(self, packet: AnyPacket) -> bool:
        """Whether it has, up to this packet or the one before; asked of each packet."""
        anew = False
        if packet.has_sidedata("new_extradata"):
            # Some say it again and again.
            setup = bytes(packet.get_sidedata("new_extradata"))
            anew, self._setup = bool(self._setup) and setup != self._setup, setup
        if packet.dts is None or not packet.time_base:
            return anew
        at, last, before = packet.dts * packet.time_base, self._last, self._before
        self._last, self._before = at, None
        if before is not None:
            # One damaged time is no other clock.
            return anew or not _follows(before, at)
        if last is not None and not _follows(last, at):
            self._before = last
        return anew


class Seldom:
    """Says yes when it is asked first, and then ever more seldom.

    Whoever sends a film in a loop begins anew for ever.
    """

    def __init__(self) -> None:
        self._asked = 0

    def __call__(self) -> bool:
        self._asked += 1
        return self._asked & (self._asked - 1) == 0


def _follows(last: Fraction, at: Fraction) -> bool:
    return -_BACK < at - last < _ON


class Marks:
    """Reads the marks of one stream's packets: those of one format have the same.

    Args:
        stream: as it was opened.
    """

    def __init__(self, stream: AudioStream) -> None:
        self._codec = stream.codec_context.name
        self._setup = bytes(stream.codec_context.extradata or b"")
        self._first: bytes | None = None

    def of(self, packet: AnyPacket) -> tuple[bytes, bool]:
        """A packet's mark, and whether the connection began with it."""
        if packet.has_sidedata("new_extradata"):
            self._setup = bytes(packet.get_sidedata("new_extradata"))
        mark = self._setup or _from_header(self._codec, bytes(memoryview(packet)[:_HEADER]))
        if self._first is None:
            self._first = mark
        return mark, mark == self._first


def _from_header(codec: str, head: bytes) -> bytes:
    """What the header of a packet says, for codecs whose packets have one; else nothing.

    Where the fields lie is said in ISO/IEC 13818-7 (ADTS), ISO/IEC 11172-3 (MPEG audio) and ETSI TS
    102 366 (AC-3).
    """
    head = head.ljust(_HEADER, b"\0")
    if codec == "aac":
        known = head[0] == 0xFF and head[1] & 0xF6 == 0xF0
        fields = [head[2] & 0x3D, head[3] & 0xC0]
    elif codec.startswith(("mp1", "mp2", "mp3")):
        known = head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 > 0
        fields = [head[1] & 0x1E, head[2] & 0x0C, head[3] & 0xC0 == 0xC0]
    elif codec in {"ac3", "eac3"}:
        known = head[:2] == b"\x0b\x77"
        fields = [head[4] & 0xC0, head[5] >> 3 > 10]
    else:
        return b""
    return bytes(fields) if known else OTHER
