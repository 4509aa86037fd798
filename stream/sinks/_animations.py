"""Animated PNG and WebP, written picture by picture; the file is whole after each."""

from __future__ import annotations

import struct
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.sinks._destination import Destination
from stream.sinks._photo import PNG

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\0\0\0\0IEND\xaeB`\x82"
_FINEST = (1 << 16) - 1
_KEPT, _CLEARED = 0, 1
"""What becomes of a picture before the next: it stays, or its place becomes transparent."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is to be seen of a picture, and where.

    Attributes:
        top: of it, in rows of the picture.
        left: of it, in columns.
        height: of it.
        width: of it.
        data: what the format's encoder made of it.
    """

    top: int
    left: int
    height: int
    width: int
    data: Any


class Animation(ABC):
    """Writes pictures with the time that each is shown.

    With transparency only the part that is not transparent is written, and is cleared before the
    next; else each is a whole picture.

    Args:
        file: written to, from its beginning.
        size: height and width in pixels.
        alpha: whether pictures have an opacity.
    """

    first_is_whole: ClassVar[bool] = False
    """Whether the first picture has to have all of its pixels."""

    tick: Fraction
    """What times are counted in, in seconds, at the finest."""

    def __init__(self, file: Destination, size: tuple[int, int], *, alpha: bool) -> None:
        self._file = file
        self._size = size
        self._alpha = alpha
        self._count = 0
        self._last = False
        self._shown = Fraction(0)
        self._begin()

    @property
    def remarks(self) -> list[str]:
        """What was not kept of the pictures, for whom it was made to know."""
        return []

    def encoded(self, pixels: NDArray[np.uint8], *, first: bool) -> Part:
        """What `add` is to be given of a picture; several threads may ask at once.

        Args:
            pixels: uint8 [H, W, 3], blue, green, red, or [H, W, 4] with opacity.
            first: whether it is the first of all.

        Raises:
            ValueError: the format does not hold the picture.
        """
        top, left, part = 0, 0, pixels
        if self._alpha and not (first and self.first_is_whole):
            top, left, part = _visible(pixels)
        return Part(top, left, part.shape[0], part.shape[1], self._encode(part))

    def add(self, part: Part, until: Fraction, *, last: bool = False) -> None:
        """Adds a picture.

        Args:
            part: by `encoded`.
            until: seconds from the first picture's time to this one's end.
            last: whether no other comes.

        Raises:
            OSError: the file cannot be written.
        """
        # Of what was shown so far, not of the picture before: what is rounded off does not add up.
        self._last = last
        self._shown += self._put(part, max(self.tick, until - self._shown))
        self._count += 1
        self._file.checkpoint()

    def _overwrite(self, place: int, data: bytes) -> None:
        end = self._file.tell()
        self._file.seek(place)
        self._file.write(data)
        self._file.seek(end)

    def _replace_end(self, old: int, data: bytes) -> int:
        """Puts data in place of the file's last bytes, which stay until all of it is there.

        Where the disk is full, the file is what it was.

        Args:
            old: how many bytes are replaced.
            data: more than those.

        Returns:
            Where in the file it begins.
        """
        place = self._file.tell() - old
        self._file.write(data[old:])
        self._overwrite(place, data[:old])
        return place

    @abstractmethod
    def _begin(self) -> None:
        """Writes what comes before the first picture."""

    @abstractmethod
    def _encode(self, part: NDArray[np.uint8]) -> Any:
        """What `Part.data` holds of a picture."""

    @abstractmethod
    def _put(self, part: Part, seconds: Fraction) -> Fraction:
        """Writes a picture; returns how long it is shown, in seconds."""


class AnimatedPng(Animation):
    """APNG (PNG, third edition, 11.3.4): without loss, times as fractions."""

    tick = Fraction(1, _FINEST)
    first_is_whole = True

    def _begin(self) -> None:
        height, width = self._size
        kind = 6 if self._alpha else 2
        header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
        self._file.write(_SIGNATURE + _chunk(b"IHDR", header))
        self._control = self._file.tell()
        self._file.write(_chunk(b"acTL", struct.pack(">II", 0, 0)))
        self._sequence = 0

    def _encode(self, part: NDArray[np.uint8]) -> bytes:
        return _encoded(".png", part, list(PNG))

    def _put(self, part: Part, seconds: Fraction) -> Fraction:
        delay = _as_delay(seconds)
        control = struct.pack(
            ">IIIIIHHBB",
            self._next(),
            part.width,
            part.height,
            part.left,
            part.top,
            delay.numerator,
            delay.denominator,
            _CLEARED if self._alpha else _KEPT,
            0,
        )
        chunks = [_chunk(b"fcTL", control)]
        for name, content in _png_chunks(part.data):
            if name == b"IDAT" and not self._count:
                chunks.append(_chunk(b"IDAT", content))
            elif name == b"IDAT":
                chunks.append(_chunk(b"fdAT", struct.pack(">I", self._next()) + content))
        self._replace_end(len(_END) if self._count else 0, b"".join(chunks) + _END)
        self._overwrite(self._control, _chunk(b"acTL", struct.pack(">II", self._count + 1, 0)))
        return delay

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence - 1


class AnimatedWebp(Animation):
    """WebP's extended format (RFC 9649, 2.7): times in milliseconds.

    Args:
        file: written to, from its beginning.
        size: height and width in pixels.
        alpha: whether pictures have an opacity, which is kept without loss.
        quality: of the colours, 1 to 100; above, without loss.
    """

    tick = Fraction(1, 1000)

    def __init__(
        self, file: Destination, size: tuple[int, int], *, alpha: bool, quality: int
    ) -> None:
        self._quality = quality
        super().__init__(file, size, alpha=alpha)

    def _begin(self) -> None:
        height, width = self._size
        flags = 0x02 | (0x10 if self._alpha else 0)
        extended = bytes([flags, 0, 0, 0]) + _three(width - 1) + _three(height - 1)
        # A transparent background; over and over.
        body = b"WEBP" + _piece(b"VP8X", extended) + _piece(b"ANIM", bytes(6))
        self._file.write(b"RIFF" + struct.pack("<I", len(body)) + body)

    def _encode(self, part: NDArray[np.uint8]) -> bytes:
        return _encoded(".webp", part, [cv2.IMWRITE_WEBP_QUALITY, self._quality])

    def _put(self, part: Part, seconds: Fraction) -> Fraction:
        milliseconds = min((1 << 24) - 1, max(1, round(seconds * 1000)))
        picture = b"".join(
            _piece(name, content)
            for name, content in _webp_pieces(part.data)
            if name in (b"ALPH", b"VP8 ", b"VP8L")
        )
        head = b"".join(
            map(
                _three,
                (part.left // 2, part.top // 2, part.width - 1, part.height - 1, milliseconds),
            )
        )
        # Not mixed with what is there.
        flags = bytes([0x02 | (_CLEARED if self._alpha else _KEPT)])
        self._file.write(_piece(b"ANMF", head + flags + picture))
        self._overwrite(4, struct.pack("<I", self._file.tell() - 8))
        return Fraction(milliseconds, 1000)


def _visible(pixels: NDArray[np.uint8]) -> tuple[int, int, NDArray[np.uint8]]:
    """Top and left of the part that is not transparent, on even places, and its pixels."""
    seen = pixels[..., 3] > 0
    rows, columns = (np.flatnonzero(seen.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return 0, 0, pixels[:1, :1]
    top, left = int(rows[0]) & ~1, int(columns[0]) & ~1
    part = pixels[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    return top, left, np.ascontiguousarray(part)


def _encoded(ending: str, pixels: NDArray[np.uint8], options: list[int]) -> bytes:
    try:
        done, data = cv2.imencode(ending, pixels, options)
    except cv2.error as error:
        raise ValueError(f"a picture cannot be encoded as {ending} ({error.err})") from error
    if not done:
        raise ValueError(f"a picture cannot be encoded as {ending}")
    return bytes(np.asarray(data, np.uint8))


def _as_delay(seconds: Fraction) -> Fraction:
    """The nearest that has a numerator and a denominator of 16 bits."""
    most = _FINEST if seconds <= 1 else max(1, int(_FINEST / seconds))
    delay = seconds.limit_denominator(most)
    return delay if 0 < delay.numerator <= _FINEST else Fraction(1 if delay <= 0 else _FINEST)


def _chunk(name: bytes, content: bytes) -> bytes:
    checked = name + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_SIGNATURE)
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        yield data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        place += 12 + length


def _three(number: int) -> bytes:
    return number.to_bytes(3, "little")


def _piece(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _webp_pieces(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 12
    while place + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, place + 4)
        yield data[place : place + 4], data[place + 8 : place + 8 + length]
        place += 8 + length + length % 2
