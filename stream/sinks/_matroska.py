"""The shape of samples in Matroska's own words, which PyAV cannot have FFmpeg write.

FFmpeg's muxer takes it from a field of the stream that PyAV has no name for. So the track is given
a title with room in it, and what is written of the track is changed on its way to the file: the
room goes, DisplayWidth, DisplayHeight and where need be DisplayUnit come (RFC 9559, 5.1.4.1.28),
and nothing else moves.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import ClassVar

from stream.sinks._destination import Destination

_NAME, _VIDEO, _VOID = b"\x53\x6e", b"\xe0", b"\xec"
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT = b"\x54\xb0", b"\x54\xba", b"\x54\xb2"
# No title that anyone gives, and more bytes than what comes in its place.
_ROOM = "\N{SYMBOL FOR START OF HEADING}room for the shape of samples"
# Sizes of pictures that every reader takes.
_LARGEST = 1 << 16
# Numbers of a ratio that every reader takes, also as signed ones.
_LARGEST_TERM = (1 << 31) - 1
PIXELS, RATIO = 0, 3
"""What DisplayWidth and DisplayHeight count: pixels, or nothing, as only their ratio counts."""


class ShapedTracks:
    """Hands what FFmpeg writes on to a file, with the shape of the pictures' samples put in."""

    FORMATS: ClassVar = ("matroska", "webm")
    """FFmpeg's names of the muxers whose files can be given a shape this way."""
    OPTIONS: ClassVar = {"write_crc32": "0"}
    """What the muxer is to be opened with: checksums would be those of what FFmpeg wrote."""

    def __init__(
        self, file: Destination, width: int, height: int, shape: Fraction, *, ratios: bool
    ) -> None:
        """Takes the file.

        Args:
            file: what is written to.
            width: of the pictures, in pixels.
            height: of the pictures, in pixels.
            shape: width over height of a sample.
            ratios: whether all readers of such files know the unit `RATIO`.
        """
        self._file = file
        *self._size, self._unit = displayed(width, height, shape, ratios=ratios)
        self.shape = Fraction(self._size[0] * height, self._size[1] * width)
        """Width over height of a sample, as the file says it."""
        self._title: bytes | None = None

    def marked(self, tags: dict[str, str]) -> dict[str, str]:
        """The tags that the track is to be given for it to have these in the file."""
        title = tags.get("title", "")
        self._title = title.encode()
        return {**tags, "title": title + _ROOM}

    def write(self, data: bytes) -> int:
        """Writes all of `data`."""
        self._file.write(self._changed(bytes(data)))
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Moves the place of the next write."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The place of the next write."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Whether places can be revisited."""
        return self._file.seekable()

    def _changed(self, data: bytes) -> bytes:
        if self._title is None:
            return data
        marked = element(_NAME, self._title + _ROOM.encode())
        begin = data.find(marked)
        if begin < 0:
            return data
        at = begin + len(marked)
        while True:
            identity, content, end = read_element(data, at)
            if end > len(data):
                return data
            if identity == _VIDEO:
                break
            at = end
        title = element(_NAME, self._title) if self._title else b""
        made = title + data[begin + len(marked) : at] + self._video(data[content:end])
        left = end - begin - len(made)
        # An empty element is two bytes; there is more room than that.
        return data[:begin] + made + element(_VOID, bytes(left - 2)) + data[end:]

    def _video(self, content: bytes) -> bytes:
        kept, at = b"", 0
        while at < len(content):
            identity, _, end = read_element(content, at)
            if identity not in (_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT):
                kept += content[at:end]
            at = end
        width, height = (size.to_bytes(4, "big").lstrip(b"\0") for size in self._size)
        size = element(_DISPLAY_WIDTH, width) + element(_DISPLAY_HEIGHT, height)
        unit = b"" if self._unit == PIXELS else element(_DISPLAY_UNIT, bytes([self._unit]))
        return element(_VIDEO, kept + size + unit)


def displayed(
    width: int, height: int, shape: Fraction, *, ratios: bool = True
) -> tuple[int, int, int]:
    """The size in square pixels that pictures are to be shown in.

    Of the stored height or a little more, so that width over height is exactly what it should be.
    Where that would take far more of them, only their ratio, or as near as whole pixels come.

    Args:
        width: in pixels.
        height: in pixels.
        shape: width over height of a pixel.
        ratios: whether readers know the unit `RATIO`.

    Returns:
        DisplayWidth, DisplayHeight and DisplayUnit.
    """
    whole = width * shape / height
    times = math.ceil(height / whole.denominator)
    exact = (times * whole.numerator, times * whole.denominator)
    if max(exact) <= min(_LARGEST, 2 * max(height, round(width * shape))):
        return *exact, PIXELS
    if ratios and max(whole.as_integer_ratio()) <= _LARGEST_TERM:
        return *whole.as_integer_ratio(), RATIO
    return max(1, round(width * shape)), height, PIXELS


def element(identity: bytes, content: bytes) -> bytes:
    """An element of EBML (RFC 8794): identity, length in as few bytes as do, content."""
    size = len(content)
    length = next(n for n in range(1, 9) if size < (1 << 7 * n) - 1)
    return identity + (size | 1 << 7 * length).to_bytes(length, "big") + content


def read_element(data: bytes, at: int) -> tuple[bytes, int, int]:
    """The element at a place: its identity, and where its content begins and ends."""
    begin = at + _length(data[at])
    size = _length(data[begin])
    content = begin + size
    count = int.from_bytes(data[begin:content], "big") & (1 << 7 * size) - 1
    return data[at:begin], content, content + count


def _length(first: int) -> int:
    """How many bytes a number of EBML has, by its first."""
    return 9 - first.bit_length()
