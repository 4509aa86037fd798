"""Files that are several recordings one behind the other, as `cat` joins them.

FFmpeg reads the first one, of Matroska the second as well, and stops, or refuses all of it.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from av.audio.stream import AudioStream
from av.stream import Stream

from stream.sources._cropping import elements
from stream.wording.words import counted

_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067
_FLV = b"FLV\x01"
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
"""What an ASF header object is called."""
_MXF_KEY = bytes.fromhex("060e2b34")
_MXF_HEADER = bytes.fromhex("060e2b34020501010d0102010102")
"""What a header partition pack's key begins with (SMPTE ST 377-1, 7.1)."""
_MXF_FOOTER = 24
"""Where the pack says at which byte the last partition begins (7.1, table 5)."""
# A page with which a stream of Ogg begins (RFC 3533, 6), and how NUT begins.
_OGG = re.compile(rb"OggS\x00\x02\x00{8}(.{4})\x00{4}", re.DOTALL)
_NUT = re.compile(rb"nut/multimedia container\x00")
# Bytes that are read at once, in which two recordings of more than nothing do not begin, and up to
# which a file is read where its end does not tell whether there are several.
_BLOCK, _SEARCHED = 1 << 20, 1 << 28
_LONGEST_SIGN = 32


@dataclass(frozen=True, slots=True)
class Part:
    """One of several recordings that lie one behind the other in a file.

    Attributes:
        begin: its first byte.
        later: the first bytes of those behind it, and the byte behind the last.
    """

    begin: int
    later: tuple[int, ...]

    @classmethod
    def first(cls, path: Path, container: str) -> Part | None:
        """The first recording of a file; None where it is the only one, as far as is told."""
        begin, *later = beginnings(path, container) or [0]
        return cls(begin, (*later, path.stat().st_size)) if later else None

    @property
    def range(self) -> tuple[int, int]:
        """Its bytes: from which and before which."""
        return self.begin, self.later[0]

    @property
    def next(self) -> Part | None:
        """The recording behind it."""
        return Part(self.later[0], self.later[1:]) if len(self.later) > 1 else None


def beginnings(path: Path, container: str) -> list[int]:
    """Where the recordings of a file begin, in bytes; one or none where it is a single one.

    Only what is told by the sizes of a few large parts is found; for FLV see `next_flv`.

    Args:
        path: a local file.
        container: FFmpeg's name of its format.
    """
    walks = {
        "matroska,webm": _matroska,
        "avi": _avi,
        "mov,mp4,m4a,3gp,3g2,mj2": _mp4,
        "asf": _asf,
        "ogg": _ogg,
        "mxf": _mxf,
        "nut": _nut,
        "ivf": _ivf,
    }
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


def _asf(file: BinaryIO, size: int) -> Iterator[int]:
    at = 0
    while at + 24 <= size:
        file.seek(at)
        kind, length = struct.unpack("<16sQ", file.read(24))
        if kind == _ASF:
            yield at
        if length < 24:  # of what is sent live it is not known
            return
        at += length


def _ogg(file: BinaryIO, size: int) -> Iterator[int]:
    if size > _SEARCHED:
        head = file.read(_BLOCK)
        file.seek(size - _BLOCK)
        tail = file.read(_BLOCK)
        last = tail.rfind(b"OggS")
        if tail[last + 14 : last + 18] in {page[1] for page in _OGG.finditer(head)}:
            return
    end = -1
    for at in _signs(file, _OGG):
        # The streams of one recording begin at once, each with one page.
        first = at != end
        file.seek(at + 26)
        count = sum(file.read(1))
        behind = at + 27 + count + sum(file.read(count))
        file.seek(behind)
        if file.read(4) != b"OggS":
            continue  # it only looks like one
        end = behind
        if first:
            yield at


def _nut(file: BinaryIO, size: int) -> Iterator[int]:
    return _signs(file, _NUT) if size <= _SEARCHED else iter(())


def _signs(file: BinaryIO, sign: re.Pattern[bytes]) -> Iterator[int]:
    """Where it is found in a file, which may be sought in meanwhile."""
    at, kept = 0, b""
    while True:
        file.seek(at + len(kept))
        more = file.read(_BLOCK)
        data = kept + more
        # What is cut off by the end of this block is found with the next one.
        last = len(data) - _LONGEST_SIGN if more else len(data)
        yield from (at + one.start() for one in sign.finditer(data) if one.start() < last)
        if not more:
            return
        at, kept = at + max(0, last), data[max(0, last) :]


def _mxf(file: BinaryIO, size: int) -> Iterator[int]:
    """Those that say where they end: behind the footer come its index and a list of partitions."""
    begin = at = 0
    while at + 17 <= size:
        file.seek(at)
        head = file.read(17)
        if head[:4] != _MXF_KEY:
            return
        length, more = head[16], 0
        if length >= 0x80:
            more = length - 0x80
            length = int.from_bytes(file.read(more))
        if not head.startswith(_MXF_HEADER):
            at += 17 + more + length
            continue
        yield at
        begin = at
        file.seek(at + 17 + more + _MXF_FOOTER)
        footer = int.from_bytes(file.read(8))
        if not footer:
            return
        at = begin + footer


def _ivf(file: BinaryIO, size: int) -> Iterator[int]:
    at = 0
    while at + 12 <= size:
        file.seek(at)
        head = file.read(12)
        if head[:4] == b"DKIF":
            yield at
            at += int.from_bytes(head[6:8], "little")
        else:
            at += 12 + int.from_bytes(head[:4], "little")


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


def going_on(
    ours: Sequence[Stream], theirs: Iterable[Stream]
) -> tuple[dict[Stream, Stream], list[str]]:
    """Which stream of another recording goes on with which of ours, and what none goes on with.

    They are of the same kind, in order, and what is copied is of the same codec, and sound of the
    same rate and channels: an output says what packets are by the first of them alone.

    Args:
        ours: the first recording's that are taken.
        theirs: all of the other one's.

    Returns:
        Ours by theirs, and a sentence for each of ours that ends although the other has its kind.
    """
    left, found, others = list(ours), {}, list(theirs)
    for stream in others:
        mate = next((one for one in left if _alike(stream, one)), None)
        if mate is not None:
            left.remove(mate)
            found[stream] = mate
    lost = []
    for stream in others:
        end = next((one for one in left if one.type == stream.type), None)
        if stream not in found and end is not None:
            left.remove(end)
            lost.append(
                f"stream {end.index} ({_called(end)}) ends where a further recording in the file "
                f"has {_called(stream)}, which is left out; cut the file where that begins"
            )
    return found, lost


def _alike(one: Stream, other: Stream) -> bool:
    if one.type != other.type or one.type == "video":
        return one.type == other.type
    return _called(one) == _called(other)


def _called(stream: Stream) -> str:
    if isinstance(stream, AudioStream):
        # Decoders have names of their own.
        context = stream.codec_context
        name, channels = context.codec.canonical_name, counted(context.channels, "channel")
        return f"{name} at {context.sample_rate} Hz, {channels}"
    return str(stream.name or stream.type)


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
