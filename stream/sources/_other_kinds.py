"""Tracks of a broadcast that go on as another kind, as where recordings of two kinds were joined.

FFmpeg goes on with the decoder that it began with, and where packets are copied an output says what
they are by the first of them alone.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

from av.container import InputContainer
from av.stream import Stream

from stream.sources._services import BROADCAST
from stream.types import AnyPacket
from stream.wording.words import counted

# Places that are looked at, and bytes that are read there: these tables come every 0.1 s or so.
_PLACES, _READ = 64, 1 << 17
# A table of a programme's tracks (ISO/IEC 13818-1, 2.4.4.8) from its packet's first byte on.
_TABLE = re.compile(rb"\x47[\x40-\x7f].[\x10-\x1f]\x00\x02[\xb0-\xb3]", re.DOTALL)
# What tracks are (2.4.4.9, table 2-34); others say it elsewhere.
_KINDS = {
    0x01: "MPEG-1 video",
    0x02: "MPEG-2 video",
    0x03: "MPEG sound",
    0x04: "MPEG sound",
    0x0F: "AAC",
    0x10: "MPEG-4 video",
    0x11: "AAC (LATM)",
    0x1B: "H.264",
    0x24: "HEVC",
    0x33: "VVC",
    0x81: "AC-3",
    0x87: "E-AC-3",
    0xEA: "VC-1",
}
# Samples per second, by their place in an ADTS head (ISO/IEC 14496-3, table 1.18).
_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


class OtherKinds:
    """Finds what of an open file's tracks is of another kind than where the file begins.

    Args:
        path: the file.
        container: the open file.
        streams: those that are decoded or copied.
    """

    def __init__(self, path: Path, container: InputContainer, streams: Sequence[Stream]) -> None:
        asked = container.format.name == BROADCAST
        self._path = path
        self._streams = list(streams) if asked else []
        self._bare = {
            one.index
            for one in self._streams
            if one.type == "audio" and one.codec_context is not None and one.name == "aac"
        }
        self._sounds: dict[int, tuple[int, int]] = {}
        self._changed: dict[int, tuple[int, int]] = {}

    def packet(self, packet: AnyPacket) -> None:
        """Looks at a packet before it is handed on."""
        if packet.stream_index not in self._bare or packet.size < 7:
            return
        head = bytes(memoryview(packet)[:4])
        if head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
            return
        sound = (head[2] >> 2 & 15, (head[2] & 1) << 2 | head[3] >> 6)
        if self._sounds.setdefault(packet.stream_index, sound) != sound:
            self._changed.setdefault(packet.stream_index, sound)

    @property
    def remarks(self) -> list[str]:
        """What was found, a sentence each; reads some megabytes of the file."""
        said = [
            f"stream {index}, sound (aac), changes from {_called(self._sounds[index])} to "
            f"{_called(sound)} in the middle: .ts holds both, and copied into another container it "
            "plays wrongly or not at all from there on"
            for index, sound in self._changed.items()
        ]
        return said + [
            f"stream {stream.index} ({stream.name}) goes on as {_KINDS[kind]} in the middle, as "
            "where recordings were joined: that part is lost, or does not play; cut the file where "
            "it begins"
            for stream, kind in self._others()
        ]

    def _others(self) -> list[tuple[Stream, int]]:
        if not self._streams or not self._path.is_file():
            return []
        told: dict[int, list[int]] = {}
        with contextlib.suppress(OSError), self._path.open("rb") as file:
            size = self._path.stat().st_size
            for place in range(_PLACES):
                file.seek(size * place // _PLACES)
                data = file.read(_READ)
                for found in _TABLE.finditer(data):
                    for track, kind in _tracks(data[found.end() - 2 : found.start() + 188]):
                        kinds = told.setdefault(track, [])
                        if kind in _KINDS and kind not in kinds:
                            kinds.append(kind)
        return [
            (stream, kind)
            for stream in self._streams
            for kind in told.get(stream.id, [])[1:]
            if _KINDS[kind] != _KINDS[told[stream.id][0]]
        ]


def _tracks(table: bytes) -> list[tuple[int, int]]:
    """The number and the kind of each track of a table that is whole."""
    size = 3 + (int.from_bytes(table[1:3], "big") & 0x3FF)
    at = 12 + (int.from_bytes(table[10:12], "big") & 0x3FF)
    found = []
    while len(table) >= size and at + 5 <= size - 4:
        track = int.from_bytes(table[at + 1 : at + 3], "big") & 0x1FFF
        found.append((track, table[at]))
        at += 5 + (int.from_bytes(table[at + 3 : at + 5], "big") & 0x3FF)
    return found


def _called(sound: tuple[int, int]) -> str:
    rate, channels = sound
    told = f" at {_RATES[rate]} Hz" if rate < len(_RATES) else ""
    return f"{counted(channels, 'channel')}{told}"
