"""MP4s of which lists of edits show parts, as programs write that cut without encoding anew."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

_HOLDS = (b"moov", b"trak", b"mdia", b"edts")


def edited(path: Path, given: Path, edits: Sequence[tuple[float, float]]) -> Path:
    """Writes an MP4 whose index is at its end with a list of edits for each track; its path.

    Args:
        path: to be written.
        given: an MP4 of which each track has a list of one edit.
        edits: where each begins in the track, and how long it lasts, in seconds.
    """
    data = given.read_bytes()
    at = data.index(b"moov") - 4
    scale = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)[0]
    path.write_bytes(data[:at] + _rebuilt(data[at:], scale, edits, 0))
    return path


def _rebuilt(data: bytes, scale: int, edits: Sequence[tuple[float, float]], clock: int) -> bytes:
    """Boxes with their lists replaced (ISO/IEC 14496-12, 8.6.6); `clock`: ticks a second."""
    made = b""
    while data:
        size, kind = struct.unpack_from(">I4s", data)
        body, data = data[8:size], data[size:]
        if kind in _HOLDS:
            if kind == b"trak":
                clock = struct.unpack_from(">I", body, body.index(b"mdhd") + 16)[0]
            body = _rebuilt(body, scale, edits, clock)
        elif kind == b"elst":
            began = max(0, struct.unpack_from(">i", body, 12)[0])
            body = struct.pack(">II", 0, len(edits))
            for start, length in edits:
                place = began + round(start * clock)
                body += struct.pack(">IiI", round(length * scale), place, 1 << 16)
        made += struct.pack(">I4s", len(body) + 8, kind) + body
    return made
