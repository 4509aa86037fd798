"""What a photo's file says beside its picture and its camera's notes: words, its size on paper."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_JFIF = b"JFIF\0"
# How segments of a JPEG with words begin: XMP (part 3, 1.1.3), IPTC in Photoshop's; and comments.
_XMP, _PHOTOSHOP, _IPTC = b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0", b"8BIM\x04\x04"
_APP0, _APP1, _APP13, _COMMENT, _SCAN = 0xE0, 0xE1, 0xED, 0xFE, 0xDA
# Where a JPEG says how large it is; the gaps are tables.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_INCH = Fraction(254, 10_000)
_METRES = {1: _INCH, 2: Fraction(1, 100)}
"""By JFIF's units."""
_MOST = 65_535


@dataclass(frozen=True, slots=True)
class Beside:
    """What else a photo's file says.

    Attributes:
        density: samples per metre, across and down; None where it does not say.
        words: whether somebody wrote words into it: captions, keywords, a copyright, a comment.
        size: width and height as it is stored, which may be lying down; None where not known.
    """

    density: tuple[Fraction, Fraction] | None = None
    words: bool = False
    size: tuple[int, int] | None = None


def beside(data: bytes) -> Beside:
    """What else a photo's file says, as far as it is read; damaged ones tell what they can.

    Args:
        data: the file, whole.
    """
    density, words, size = None, False, None
    try:
        if data.startswith(_JPEG):
            for kind, content in _segments(data):
                if kind in _FRAMES:
                    size = struct.unpack_from(">HH", content, 1)[::-1]
                if kind == _APP0 and content.startswith(_JFIF):
                    unit, across, down = struct.unpack_from(">BHH", content, 7)
                    if unit in _METRES and across and down:
                        metre = 1 / _METRES[unit]
                        density = across * metre, down * metre
                spoken = kind == _APP1 and content.startswith(_XMP)
                spoken |= kind == _APP13 and content.startswith(_PHOTOSHOP) and _IPTC in content
                words |= spoken or (kind == _COMMENT and bool(content.strip(b"\0 ")))
        elif data.startswith(_PNG):
            for name, content in _chunks(data):
                if name == b"IHDR":
                    size = struct.unpack_from(">II", content)
                if name == b"pHYs":
                    across, down, unit = struct.unpack_from(">IIB", content)
                    if unit == 1 and across and down:
                        density = Fraction(across), Fraction(down)
                words |= name in _TEXTS and not content.startswith(b"Raw profile type ")
        elif data[:4] == b"RIFF" and data[8:15] == b"WEBPVP8":
            words = data[12:16] == b"VP8X" and bool(data[20] & 4)
    except (struct.error, IndexError):
        return Beside(density, words, size)
    return Beside(density, words, size)


def with_density(data: bytes, density: tuple[Fraction, Fraction]) -> bytes:
    """A picture's file that says how large it is on paper, where its format can.

    Args:
        data: a JPEG with JFIF's head, or a PNG; others stay as they are.
        density: samples per metre, across and down.
    """
    across, down = density
    if data.startswith(_JPEG) and data[6:11] == _JFIF:
        per_inch = [round(one * _INCH) for one in density]
        pairs = zip(density, per_inch, strict=True)
        exact = all(abs(one * _INCH - whole) < Fraction(1, 20) for one, whole in pairs)
        unit, values = (1, per_inch) if exact else (2, [round(one / 100) for one in density])
        if all(0 < one <= _MOST for one in values):
            return data[:13] + struct.pack(">BHH", unit, *values) + data[18:]
    if data.startswith(_PNG):
        head = len(_PNG) + 25  # IHDR is the first chunk, of 13 bytes
        content = b"pHYs" + struct.pack(">IIB", round(across), round(down), 1)
        chunk = struct.pack(">I", 9) + content + struct.pack(">I", zlib.crc32(content))
        rest = data[head:]
        return data[:head] + chunk + rest
    return data


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The segments of a JPEG before its picture: marker and content (ISO/IEC 10918-1, B.1.1.4)."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        kind = data[at + 1]
        if kind == 0xFF or kind in _ALONE:
            at += 1 if kind == 0xFF else 2
            continue
        if kind == _SCAN:
            return
        (size,) = struct.unpack_from(">H", data, at + 2)
        yield kind, data[at + 4 : at + 2 + size]
        at += 2 + size


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG, of its pixels nothing: name and content."""
    at = len(_PNG)
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        yield name, b"" if name == b"IDAT" else data[at + 8 : at + 8 + size]
        at += size + 12
