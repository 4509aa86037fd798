"""Instances kept in a file, frame by frame and to the last bit, for a later step of the same work.

Unlike records these hold what only trackers need, and nothing reads them but the release that wrote
them. A file begins with what it is about, has a block for each frame, and ends with a mark, so that
one that is cut short is told from a whole one. A block is a length and deflated bytes: a line of
JSON, then the arrays, of floats all first bytes, all second ones and so on: neighbours share them.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from stream.errors import SinkError, StreamError
from stream.frame import Frame
from stream.instances import Instances
from stream.motion.flow import Grey
from stream.pictures.pixels import plane_view
from stream.types import JSON, Array

_MAGIC = b"stream kept 1\n"
_END = 0xFFFFFFFF
_LENGTH = struct.Struct("<I")
_LEVEL = 1
_ROWS = 4
"""Of a picture each so manyth row is looked at, to tell it from others."""
_TIMES = ("pts", "duration", "mark")
_ARRAYS = ("boxes", "scores", "labels", "masks", "track_ids", "mask_boxes", "colours")


class KeptLostError(StreamError):
    """A file that an earlier step wrote is not there any more, or not whole."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A frame and what was found in it.

    Attributes:
        pts: in ticks of the source's time base.
        duration: likewise; None where the source does not say.
        mark: tells its picture from others, see `mark_of`.
        instances: what was found.
        small: what tells its scene; None where nothing follows objects.
    """

    pts: int
    duration: int | None
    mark: int
    instances: Instances
    small: Grey | None = None


def mark_of(picture: av.VideoFrame) -> int:
    """A number that is another where a decoder gave another picture; whole rows are looked at."""
    mark = zlib.crc32(f"{picture.width}x{picture.height} {picture.format.name}".encode())
    depth = max(part.bits for part in picture.format.components)
    for plane in picture.planes:
        mark = zlib.crc32(plane_view(plane, depth)[::_ROWS].tobytes(), mark)
    return mark


class KeptWriter:
    """Writes frames one after the other.

    Args:
        path: the file.
        about: what it is about, ready for JSON.
        names: the classes.

    Raises:
        SinkError: it cannot be written, here and later.
    """

    def __init__(self, path: Path, about: dict[str, JSON], names: tuple[str, ...]) -> None:
        self._path = path
        self._names = names
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise self._failed(error) from error
        self.frames = 0
        self._write(_MAGIC)
        self._block({**about, "names": list(names)}, b"")

    def add(self, frame: Frame, mark: int, found: Instances, small: Grey | None = None) -> None:
        """Writes what was found in a frame.

        Raises:
            SinkError: it cannot be written.
        """
        head: dict[str, JSON] = {"pts": frame.pts, "duration": frame.duration, "mark": mark}
        head["found"], data = self._packed(found)
        if small is not None:
            head["small"], data = list(small.shape), data + small.tobytes()
        self.frames += 1
        self._block(head, data)

    def finish(self, about: dict[str, JSON]) -> None:
        """Says in the end what became of it, and closes the file; safe to call twice.

        Raises:
            SinkError: it cannot be written.
        """
        if self._file.closed:
            return
        self._block({**about, "frames": self.frames}, b"", last=True)
        try:
            self._file.close()
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Lets go of a file that is not finished."""
        self._file.close()

    def _packed(self, found: Instances) -> tuple[dict[str, JSON], bytes]:
        arrays: list[JSON] = []
        parts: list[bytes] = []
        for name in _ARRAYS:
            array: NDArray[np.generic] | None = getattr(found, name)
            if array is None:
                continue
            arrays.append([name, array.dtype.str, list(array.shape)])
            plain = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
            parts.append(plain.reshape(-1, array.dtype.itemsize).T.tobytes())
        about: dict[str, JSON] = {
            "arrays": arrays,
            "size": list(found.picture_size),
            "threshold": found.mask_threshold,
        }
        if found.class_names != self._names:
            about["names"] = list(found.class_names)
        if found.unsure is not None:
            about["unsure"], data = self._packed(found.unsure)
            parts.append(data)
        return about, b"".join(parts)

    def _block(self, head: dict[str, JSON], data: bytes, *, last: bool = False) -> None:
        packed = zlib.compress(json.dumps(head).encode() + b"\n" + data, _LEVEL)
        length = _LENGTH.pack(len(packed))
        self._write((_LENGTH.pack(_END) if last else b"") + length + packed)
        if last:
            self._write(length + _MAGIC)

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> SinkError:
        return SinkError(f"{self._path} cannot be written: {error.strerror}")


class KeptReader:
    """Reads what `KeptWriter` wrote.

    Attributes:
        about: what was said in the beginning.
        end: what was said in the end.

    Args:
        path: the file.

    Raises:
        KeptLostError: it is not there, or not whole; also while it is read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise self._lost() from error
        try:
            tail = _LENGTH.size + len(_MAGIC)
            size = self._file.seek(0, os.SEEK_END)
            self._file.seek(max(0, size - tail))
            length = self._length()
            if self._file.read() != _MAGIC or length > size:
                raise self._lost()
            self._file.seek(size - tail - length)
            self.end, _ = self._block(length)
            self._file.seek(len(_MAGIC))
            self.about, _ = self._block(self._length())
        except StreamError:
            self._file.close()
            raise
        self._names = _names(self.about["names"])

    def __iter__(self) -> Iterator[Kept]:
        """The frames, in their order."""
        while (length := self._length()) != _END:
            yield self._kept(*self._block(length))

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()

    def _length(self) -> int:
        try:
            return int(_LENGTH.unpack(self._file.read(_LENGTH.size))[0])
        except struct.error as error:
            raise self._lost() from error

    def _block(self, length: int) -> tuple[dict[str, JSON], bytes]:
        try:
            head, _, data = zlib.decompress(self._file.read(length)).partition(b"\n")
            found: dict[str, JSON] = json.loads(head)
        except (zlib.error, ValueError) as error:
            raise self._lost() from error
        return found, data

    def _kept(self, head: dict[str, JSON], data: bytes) -> Kept:
        try:
            about, pts, duration, mark = (head[key] for key in ("found", *_TIMES))
            assert isinstance(about, dict) and isinstance(pts, int) and isinstance(mark, int)
            assert duration is None or isinstance(duration, int)
            found, left = self._unpacked(about, data)
            small, shape = None, head.get("small")
            if isinstance(shape, list):
                small = np.frombuffer(left, np.uint8).reshape([int(str(side)) for side in shape])
        except (KeyError, ValueError, TypeError, AssertionError) as error:
            raise self._lost() from error
        return Kept(pts, duration, mark, found, small)

    def _unpacked(self, about: dict[str, JSON], data: bytes) -> tuple[Instances, bytes]:
        arrays: dict[str, NDArray[np.generic]] = {}
        described = about["arrays"]
        assert isinstance(described, list)
        for one in described:
            assert isinstance(one, list)
            name, kind, shape = str(one[0]), np.dtype(str(one[1])), one[2]
            assert isinstance(shape, list)
            sides = [int(str(side)) for side in shape]
            size = kind.itemsize * int(np.prod(sides, dtype=np.int64))
            planes: Array = np.frombuffer(data[:size], np.uint8).reshape(kind.itemsize, -1)
            arrays[name] = np.ascontiguousarray(planes.T).view(kind).reshape(sides)
            data = data[size:]
        unsure = None
        if isinstance(about.get("unsure"), dict):
            unsure, data = self._unpacked(about["unsure"], data)  # type: ignore[arg-type]
        size_of = about["size"]
        assert isinstance(size_of, list)
        named = about.get("names")
        found = Instances(
            **arrays,  # type: ignore[arg-type]
            class_names=self._names if named is None else _names(named),
            picture_size=(int(str(size_of[0])), int(str(size_of[1]))),
            mask_threshold=float(str(about["threshold"])),
            unsure=unsure,
        )
        return found, data

    def _lost(self) -> KeptLostError:
        return KeptLostError(f"{self._path.name}, which an earlier step wrote, is not whole")


def _names(value: JSON) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, list) else ()
