"""Files that are several recordings one behind the other, as `cat` joins them.

FFmpeg reads the first one, of Matroska the second as well, and stops.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from stream.sources._cropping import elements

_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067
_FLV = b"FLV\x01"


def beginnings(path: Path, container: str) -> list[int]:
    """Where the recordings of a file begin, in bytes; one or none where it is a single one.

    Only what is told by the sizes of a few large parts is found; for FLV see `next_flv`.

    Args:
        path: a local file.
        container: FFmpeg's name of its format.
    """
    walks = {"matroska,webm": _matroska, "avi": _avi, "mov,mp4,m4a,3gp,3g2,mj2": _mp4}
    walk = walks.get(container)
    if walk is None or not path.is_file():
        return []
    with path.open("rb") as file:
        return list(walk(file, path.stat().st_size))


def _matroska(file: BinaryIO, size: int) -> Iterator[int]:
    at = 0
    for kind, begin, end in elements(file, 0, size):
        if kind == _EBML:
            yield at
        if kind == _SEGMENT and end - begin == 0:
            return
        at = end


def _avi(file: BinaryIO, size: int) -> Iterator[int]:
    at = 0
    while at + 12 <= size:
        file.seek(at)
        name, length, kind = struct.unpack("<4sI4s", file.read(12))
        # A long AVI goes on in parts that are called AVIX.
        if name != b"RIFF" or kind not in {b"AVI ", b"AVIX"} or not length:
            return
        if kind == b"AVI ":
            yield at
        at += 8 + length + length % 2


def _mp4(file: BinaryIO, size: int) -> Iterator[int]:
    """Those that begin by saying so, and have an index (ISO/IEC 14496-12, 4.2)."""
    at = begin = 0
    indexed = False
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length, kind = struct.unpack_from(">I4s", head)
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack_from(">Q", head, 8)
        if kind == b"ftyp" and indexed:
            yield begin
            begin, indexed = at, False
        indexed |= kind == b"moov"
        if length < 8:  # it goes on to the end, or this is no box
            break
        at += length
    if indexed:
        yield begin


def has_several_flv(path: Path) -> bool:
    """Whether an FLV is several recordings, for which each of its tags is looked at.

    Args:
        path: a local file.
    """
    with path.open("rb") as file:
        head = file.read(9)
    return head[:4] == _FLV and next_flv(path, int.from_bytes(head[5:9]) + 4) is not None


def next_flv(path: Path, position: int) -> int | None:
    """Where the next recording of an FLV begins; None where there is none.

    Args:
        path: a local file.
        position: of a tag, such as the last one that was read.
    """
    with path.open("rb") as file:
        while True:
            file.seek(position)
            head = file.read(11)
            if head[:4] == _FLV:
                return position
            if len(head) < 11 or head[0] & 0x1F not in {8, 9, 18}:
                return None
            position += 11 + int.from_bytes(head[1:4]) + 4


class Window(io.RawIOBase):
    """A range of a file as a file of its own.

    Args:
        path: the file.
        begin: its first byte.
        end: behind its last byte.
    """

    def __init__(self, path: Path, begin: int, end: int) -> None:
        self._file = path.open("rb")
        self._begin, self._end = begin, end
        self._file.seek(begin)

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be sought in."""
        return True

    def read(self, size: int = -1) -> bytes:
        """So many bytes, or what is left of them."""
        left = max(0, self._end - self._file.tell())
        return self._file.read(left if size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to a byte of the range."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._end - self._begin}
        return self._file.seek(self._begin + max(0, base[whence] + offset)) - self._begin

    def tell(self) -> int:
        """The byte that is read next."""
        return self._file.tell() - self._begin

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()
