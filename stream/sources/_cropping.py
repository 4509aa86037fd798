"""What a container cuts off its pictures, which FFmpeg reads and PyAV does not tell.

Matroska: PixelCropLeft and so on of a video track (RFC 9559, 5.1.4.1.28). MP4 and QuickTime: the
clean aperture box of a sample entry (ISO 14496-12, 12.1.4).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

_SEGMENT, _CLUSTER, _TRACKS, _TRACK, _VIDEO = 0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE, 0xE0
_TRACK_TYPE = 0x83
_LEFT, _TOP, _RIGHT, _BOTTOM = 0x54CC, 0x54BB, 0x54DD, 0x54AA
_LARGEST_HEAD = 1 << 26
_SAMPLE_ENTRY = 86
"""Bytes of a visual sample entry before the boxes in it."""


@dataclass(frozen=True, slots=True)
class Crop:
    """Pixels that are cut off on each side of the stored picture."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def __bool__(self) -> bool:
        return bool(self.left or self.top or self.right or self.bottom)

    def fits(self, width: int, height: int) -> bool:
        """Whether something is left of a picture of this size."""
        least = min(self.left, self.top, self.right, self.bottom)
        return least >= 0 and self.left + self.right < width and self.top + self.bottom < height


def crop_of(path: Path, container: str, place: int) -> Crop:
    """What the file cuts off the pictures of its video track at `place`, counted from 0.

    Args:
        path: a local file.
        container: FFmpeg's name of its format.
        place: of the track among the video tracks, in the order in which they are stored.
    """
    kinds = container.split(",")
    reads = _matroska if "matroska" in kinds else _mp4 if "mp4" in kinds else None
    if reads is None or not path.is_file():
        return Crop()
    with path.open("rb") as file:
        size = path.stat().st_size
        try:
            found = list(reads(file, size))
        except (struct.error, ZeroDivisionError, EOFError):
            return Crop()  # damaged; what FFmpeg makes of it is shown whole
    return found[place] if place < len(found) else Crop()


def _matroska(file: BinaryIO, size: int) -> Iterator[Crop]:
    for kind, begin, end in elements(file, 0, size):
        if kind != _SEGMENT:
            continue
        for inner, inner_begin, inner_end in elements(file, begin, end):
            if inner == _CLUSTER:
                return
            if inner == _TRACKS:
                for one, one_begin, one_end in elements(file, inner_begin, inner_end):
                    if one == _TRACK:
                        yield from _track(file, one_begin, one_end)
                return
        return


def _track(file: BinaryIO, begin: int, end: int) -> Iterator[Crop]:
    fields = {kind: (at, to) for kind, at, to in elements(file, begin, end)}
    if _TRACK_TYPE not in fields or _number(file, *fields[_TRACK_TYPE]) != 1:
        return
    sides: dict[int, int] = {}
    if _VIDEO in fields:
        for kind, at, to in elements(file, *fields[_VIDEO]):
            if kind in {_LEFT, _TOP, _RIGHT, _BOTTOM}:
                sides[kind] = _number(file, at, to)
    yield Crop(*(sides.get(side, 0) for side in (_LEFT, _TOP, _RIGHT, _BOTTOM)))


def elements(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The EBML elements in a range: identifier, and where their contents begin and end."""
    at = begin
    while at < end:
        file.seek(at)
        head = file.read(12)
        if len(head) < 2 or not head[0]:
            return
        width = 9 - head[0].bit_length()
        kind = int.from_bytes(head[:width])
        rest = head[width:]
        if width > 4 or not rest or not rest[0]:
            return
        length = 9 - rest[0].bit_length()
        if len(rest) < length:
            return
        stored = int.from_bytes(rest[:length]) & ((1 << 7 * length) - 1)
        unknown = stored == (1 << 7 * length) - 1
        inside = at + width + length
        after = end if unknown else inside + stored
        yield kind, inside, min(after, end)
        at = after


def _number(file: BinaryIO, begin: int, end: int) -> int:
    file.seek(begin)
    return int.from_bytes(file.read(min(end - begin, 8)))


def _mp4(file: BinaryIO, size: int) -> Iterator[Crop]:
    for kind, begin, end in _boxes(file, 0, size):
        if kind == b"moov" and end - begin <= _LARGEST_HEAD:
            for track, track_begin, track_end in _boxes(file, begin, end):
                if track == b"trak":
                    yield from _sample_entry(file, track_begin, track_end)


def _sample_entry(file: BinaryIO, begin: int, end: int) -> Iterator[Crop]:
    handler = _inside(file, (begin, end), b"mdia", b"hdlr")
    if handler is None:
        return
    file.seek(handler[0] + 8)
    if file.read(4) != b"vide":
        return
    table = _inside(file, (begin, end), b"mdia", b"minf", b"stbl", b"stsd")
    if table is None:
        yield Crop()
        return
    entry = table[0] + 8
    file.seek(entry + 32)
    width, height = struct.unpack(">HH", file.read(4))
    for kind, at, _ in _boxes(file, entry + _SAMPLE_ENTRY, table[1]):
        if kind == b"clap":
            file.seek(at)
            yield _aperture(width, height, struct.unpack(">8i", file.read(32)))
            return
    yield Crop()


def _aperture(width: int, height: int, stored: tuple[int, ...]) -> Crop:
    wide, high = Fraction(stored[0], stored[1]), Fraction(stored[2], stored[3])
    left = (width - wide) / 2 + Fraction(stored[4], stored[5])
    top = (height - high) / 2 + Fraction(stored[6], stored[7])
    across, down = round(left), round(top)
    return Crop(across, down, width - across - round(wide), height - down - round(high))


def _inside(file: BinaryIO, where: tuple[int, int], *names: bytes) -> tuple[int, int] | None:
    """Where the contents of a box lie that is named by its path."""
    for name in names:
        found = next((range_[1:] for range_ in _boxes(file, *where) if range_[0] == name), None)
        if found is None:
            return None
        where = found
    return where


def _boxes(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes of MP4 in a range: name, and where their contents begin and end."""
    at = begin
    while at + 8 <= end:
        file.seek(at)
        size, name = struct.unpack(">I4s", file.read(8))
        inside = at + 8
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
            inside += 8
        after = end if size == 0 else at + size
        if after < inside:
            return
        yield name, inside, min(after, end)
        at = after
