"""What a photo's file says beside its picture and its camera's notes: words, its size on paper.

Words are XMP, IPTC's (of JPEGs), comments (of JPEGs) and texts (of PNGs).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from stream.photo_files import heif
from stream.sinks import _xmp
from stream.sinks._tiff_notes import words_in

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
_SHORT = 1024
"""Bytes of a comment that may be a picture if it is longer."""
_XMP_TEXT = b"XML:com.adobe.xmp\0"
_WORDS = frozenset(
    {b"Author", b"Comment", b"Copyright", b"Creation Time", b"Description", b"Disclaimer"}
    | {b"Source", b"Title", b"Warning"}
)
"""Keywords of a PNG's texts that people write (PNG, 11.3.3.1); others may be anything."""

# Of an IPTC record (IIM 4.2): how it says in which letters it is, and what is words. What comes
# behind is sound and small pictures, as is the caption that is a picture.
_DATA_SET, _LETTERS, _APPLICATION = 0x1C, (1, 90), 2
_LAST_WORDS, _DRAWN_CAPTION = 122, 125


@dataclass(frozen=True, slots=True)
class Beside:
    """What else a photo's file says.

    Attributes:
        density: samples per metre, across and down; None where it does not say.
        size: width and height as it is stored, which may be lying down; None where not known.
        xmp: its packet; empty where there is none.
        iptc: its record; empty where there is none.
        texts: chunks of a PNG, from their keywords on, by their names.
        comments: what a JPEG has in no order.
    """

    density: tuple[Fraction, Fraction] | None = None
    size: tuple[int, int] | None = None
    xmp: bytes = b""
    iptc: bytes = b""
    texts: tuple[tuple[bytes, bytes], ...] = ()
    comments: tuple[bytes, ...] = ()

    @property
    def words(self) -> bool:
        """Whether somebody wrote words into it: captions, keywords, a copyright, a comment."""
        return bool(self.xmp or self.iptc or self.texts or self.comments)


def beside(data: bytes) -> Beside:
    """What else a photo's file says, as far as it is read; damaged ones tell what they can.

    Args:
        data: the file, whole.
    """
    found: dict[str, object] = {}
    try:
        if data.startswith(_JPEG):
            _of_jpeg(data, found)
        elif data.startswith(_PNG):
            _of_png(data, found)
        elif data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8X":
            found["xmp"] = _of_webp(data)
        elif data[4:8] == b"ftyp":
            found["xmp"] = heif.beside(data).xmp
        elif data[:4] in (b"II*\0", b"MM\0*"):
            found["xmp"], found["iptc"], found["density"] = words_in(data)
    except (struct.error, IndexError, zlib.error):
        pass
    return Beside(**found)  # type: ignore[arg-type]


def _of_jpeg(data: bytes, found: dict[str, object]) -> None:
    resources, comments = b"", []
    for kind, content in _segments(data):
        if kind in _FRAMES:
            found["size"] = struct.unpack_from(">HH", content, 1)[::-1]
        if kind == _APP0 and content.startswith(_JFIF):
            unit, across, down = struct.unpack_from(">BHH", content, 7)
            if unit in _METRES and across and down:
                metre = 1 / _METRES[unit]
                found["density"] = across * metre, down * metre
        if kind == _APP1 and content.startswith(_XMP):
            found.setdefault("xmp", content[len(_XMP) :])
        if kind == _APP13 and content.startswith(_PHOTOSHOP):
            resources += content[len(_PHOTOSHOP) :]
            found["iptc"] = _iptc(resources)
        if kind == _COMMENT and content.strip(b"\0 "):
            comments.append(content)
            found["comments"] = tuple(comments)


def _of_png(data: bytes, found: dict[str, object]) -> None:
    texts = []
    for name, content in _chunks(data):
        if name == b"IHDR":
            found["size"] = struct.unpack_from(">II", content)
        if name == b"pHYs":
            across, down, unit = struct.unpack_from(">IIB", content)
            if unit == 1 and across and down:
                found["density"] = Fraction(across), Fraction(down)
        if name not in _TEXTS or content.startswith(b"Raw profile type "):
            continue
        if name == b"iTXt" and content.startswith(_XMP_TEXT):
            found["xmp"] = _international(content[len(_XMP_TEXT) :])
        else:
            texts.append((name, content))
            found["texts"] = tuple(texts)


def _international(content: bytes) -> bytes:
    """The words of a PNG's iTXt, behind its keyword."""
    packed = content[0]
    words = content[2:].split(b"\0", 2)[2]
    return zlib.decompressobj().decompress(words, _MOST << 6) if packed else words


def _of_webp(data: bytes) -> bytes:
    at = 12
    while at + 8 <= len(data):
        (size,) = struct.unpack_from("<I", data, at + 4)
        if data[at : at + 4] == b"XMP ":
            return data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    return b""


def _iptc(resources: bytes) -> bytes:
    """The record among Photoshop's resources."""
    at = 0
    while at + 12 <= len(resources) and resources[at : at + 4] == b"8BIM":
        name = at + 6
        begin = name + (resources[name] + 2) // 2 * 2
        (size,) = struct.unpack_from(">I", resources, begin)
        if resources[at + 4 : at + 6] == _IPTC[4:]:
            return resources[begin + 4 : begin + 4 + size]
        at = begin + 4 + size + size % 2
    return b""


def _words_of(record: bytes) -> bytes:
    """The words of an IPTC record, without sound and pictures; as far as it is whole."""
    made, at = b"", 0
    while at + 5 <= len(record) and record[at] == _DATA_SET:
        kind, number, size = struct.unpack_from(">BBH", record, at + 1)
        if size & 0x8000:
            break  # longer than any words
        whole = record[at : at + 5 + size]
        spoken = kind == _APPLICATION and number <= _LAST_WORDS and number != _DRAWN_CAPTION
        if (spoken or (kind, number) == _LETTERS) and len(whole) == 5 + size:
            made += whole
        at += 5 + size
    return made


def with_words(data: bytes, told: Beside, *, conceals: bool) -> tuple[bytes, bool]:
    """A picture's file with the words of the photo that it comes from, where its format holds them.

    Args:
        data: a JPEG, a PNG or a WebP with nothing of the kind; others stay as they are.
        told: what the photo's file says.
        conceals: whether people in the picture are not to be known: then their names are left out,
            and comments so long that they may be something else.

    Returns:
        The file, and whether all words are in it.
    """
    xmp = _xmp.kept(told.xmp, conceals=conceals) if told.xmp else _xmp.Kept()
    whole = xmp.whole
    if data.startswith(_JPEG):
        segments = []
        if xmp.packet:
            segments.append((_APP1, _XMP + xmp.packet))
        words = _words_of(told.iptc)
        if words:
            head = _IPTC + b"\0\0" + struct.pack(">I", len(words))
            segments.append((_APP13, _PHOTOSHOP + head + words + bytes(len(words) % 2)))
        segments += [(_COMMENT, one) for one in told.comments]
        most = _SHORT if conceals else _MOST - 2
        fitting = [
            one for one in segments if len(one[1]) <= (most if one[0] == _COMMENT else _MOST - 2)
        ]
        place = _behind_notes(data)
        made = b"".join(
            struct.pack(">BBH", 0xFF, kind, len(content) + 2) + content for kind, content in fitting
        )
        data = data[:place] + made + data[place:]
        whole = whole and len(fitting) == len(segments) and not told.texts
        return data, whole and bool(words) == bool(told.iptc)
    if data.startswith(_PNG):
        texts = [one for one in told.texts if one[1].partition(b"\0")[0] in _WORDS]
        whole = whole and len(texts) == len(told.texts) and not told.iptc and not told.comments
        if xmp.packet:
            texts.append((b"iTXt", _XMP_TEXT + bytes(4) + xmp.packet))
        place = len(_PNG) + 25  # behind IHDR
        return data[:place] + b"".join(_chunk(*one) for one in texts) + data[place:], whole
    if data[:4] == b"RIFF":
        data = _in_webp(data, xmp.packet) if xmp.packet else data
        return data, whole and not (told.iptc or told.texts or told.comments)
    told_beside = told.iptc or told.texts or told.comments
    return data, whole and not (xmp.packet or told_beside)


def _in_webp(data: bytes, packet: bytes) -> bytes:
    """A WebP's file with a packet of XMP in it, which only its extended format holds (RFC 9649)."""
    kind, body = data[12:16], data[12:]
    if kind == b"VP8X":
        body = body[:8] + bytes([body[8] | 0x04]) + body[9:]
    else:
        if kind == b"VP8L":
            (bits,) = struct.unpack_from("<I", data, 21)
            width, height, flags = bits & 0x3FFF, bits >> 14 & 0x3FFF, bits >> 28 & 1
        else:
            sides = struct.unpack_from("<HH", data, 26)
            width, height, flags = (sides[0] & 0x3FFF) - 1, (sides[1] & 0x3FFF) - 1, 0
        head = bytes([flags << 4 | 0x04, 0, 0, 0])
        size = width.to_bytes(3, "little") + height.to_bytes(3, "little")
        body = b"VP8X" + struct.pack("<I", 10) + head + size + body
    body += b"XMP " + struct.pack("<I", len(packet)) + packet + bytes(len(packet) % 2)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _behind_notes(data: bytes) -> int:
    """The place in a JPEG behind JFIF's and the camera's segments."""
    at = 2
    while data[at : at + 2] in (b"\xff\xe0", b"\xff\xe1"):
        at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return at


def _chunk(name: bytes, content: bytes) -> bytes:
    checked = name + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


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
