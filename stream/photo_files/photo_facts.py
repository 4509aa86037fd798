"""What a photo's file holds beyond one picture of 8 bits, told by its head alone."""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.photo_files.heif import has_gain_map, has_opacity, is_deep, is_sequence
from stream.photo_files.heif_boxes import boxes_of

DEEP, ALPHA, ANIMATION, PAGES = "deep", "alpha", "animation", "pages"
MOTION, GAIN, CUT, DAMAGED, DARK = "motion", "gain", "cut", "damaged", "dark"
SENTENCES = {
    DEEP: "more than 8 bits a colour, of which 8 are kept",
    ALPHA: "transparency, which cannot be read here",
    ANIMATION: "several pictures (an animation), of which the first is taken; `stream file` takes "
    "all",
    PAGES: "several pages, of which the first is taken",
    MOTION: "a short film of the moment (motion photo), which is left out",
    GAIN: "a map for displays of high brightness (HDR gain map), which is left out",
    DAMAGED: "damage within, so that parts of the picture may be grey, shifted or of wrong colours",
    DARK: "16 bits a colour whose upper two or more are 0 everywhere, so that it is all but black: "
    "where they hold 10, 12 or 14 bits, multiply them up to 65535",
    CUT: "no end, as it was cut short; what is missing of the picture is grey or blurred",
}
"""What is said of each, behind "has"."""

PNG, _GIF = b"\x89PNG\r\n\x1a\n", (b"GIF87a", b"GIF89a")
# Radiance's and PFM's samples are floating-point numbers.
_HDR, PFM = (b"#?RADIANCE", b"#?RGBE"), (b"PF\n", b"Pf\n", b"PF ", b"Pf ")
_ALPHA_TYPES = (4, 6)
# In JPEG 2000, of depths that differ from channel to channel.
_VARIES = 0xFF
_WRONG = re.compile("JPEG|SOS|progression")
_MOVES = re.compile(rb"(MotionPhoto|MicroVideo)(=[\"']|>)1")
"""Of Google's and Samsung's phones."""
# Tags of TIFF, and the most pages that are counted.
BITS, _EXTRA = 258, 338
_MOST = 2


def beyond(data: bytes) -> set[str]:
    """What of a picture's file is not taken: some of the keys of `SENTENCES`.

    Args:
        data: the file, whole; damaged ones tell what they can.
    """
    with contextlib.suppress(IndexError, struct.error):
        for begins, read in _READ:
            if begins(data):
                return read(data)
    return {DEEP} if data.startswith((*_HDR, *PFM)) else set()


def is_animation(path: Path) -> bool:
    """Whether a file of a picture's ending holds several pictures that have times.

    Raises:
        OSError: it cannot be read.
    """
    return path.is_file() and ANIMATION in beyond(path.read_bytes())


def _jpeg(data: bytes) -> set[str]:
    """What phones say in XMP, and in a segment of ISO 21496-1's, lies behind the picture."""
    found: set[str] = set()
    for kind, content in segments(data):
        if kind == 0xE1 and content.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            found |= {MOTION} if _MOVES.search(content) else set()
            found |= {GAIN} if b"hdrgm:Version" in content else set()
        if kind == 0xE2 and content.startswith(b"urn:iso:std:iso:ts:21496:-1\0"):
            found.add(GAIN)
    return found


def segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The segments before a JPEG's picture: marker and content (ISO/IEC 10918-1, B.1.1.4)."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        (size,) = struct.unpack_from(">H", data, at + 2)
        yield data[at + 1], data[at + 4 : at + 2 + size]
        at += 2 + size


def is_cut_png(data: bytes) -> bool:
    """Whether a PNG ends within one of its chunks."""
    at = len(PNG)
    while data.startswith(PNG):
        if at + 8 > len(data):
            return True
        size, kind = struct.unpack_from(">I4s", data, at)
        at += size + 12
        if at > len(data) or kind == b"IEND":
            return bool(at > len(data))
    return False


def tells_damage(lines: Sequence[str]) -> bool:
    """Whether libjpeg says that a picture's samples may not be what they were.

    Notes of an unknown version or kind are about no sample.

    Args:
        lines: what it writes while it reads one.
    """
    return any(_WRONG.search(line) for line in lines)


def with_end(data: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """A JPEG with the mark of its end behind it, for one that lacks it; None for other files."""
    if data[:3].tobytes() != b"\xff\xd8\xff":
        return None
    return np.concatenate([data, np.array([0xFF, 0xD9], np.uint8)])


def _webp(data: bytes) -> set[str]:
    if data[12:16] == b"VP8X":
        flags = data[20]
        return {kind for kind, bit in ((ALPHA, 0x10), (ANIMATION, 0x02)) if flags & bit}
    # Without loss: 14 bits of width, 14 of height, then whether there is transparency.
    lossless = data[12:16] == b"VP8L"
    return {ALPHA} if lossless and struct.unpack_from("<I", data, 21)[0] >> 28 & 1 else set()


def _heif(data: bytes) -> set[str]:
    held = ((DEEP, is_deep), (ALPHA, has_opacity), (ANIMATION, is_sequence), (GAIN, has_gain_map))
    return {kind for kind, holds in held if holds(data)}


def _png(data: bytes) -> set[str]:
    depth, colour = data[24], data[25]
    found = {DEEP} if depth > 8 else set()
    if colour in _ALPHA_TYPES:
        found.add(ALPHA)
    at = len(PNG)
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IDAT":
            break
        if kind == b"tRNS":
            found.add(ALPHA)
        if kind == b"acTL" and struct.unpack_from(">I", data, at + 8)[0] > 1:
            found.add(ANIMATION)
        at += size + 12
    return found


def _gif(data: bytes) -> set[str]:
    """Walks from block to block; pixels may hold any bytes."""
    found: set[str] = set()
    at, pictures = 13 + _table(data[10]), 0
    while at < len(data) and data[at] != 0x3B:
        if data[at] == 0x2C:
            pictures += 1
            at += 10 + _table(data[at + 9]) + 1
        elif data[at] == 0x21:
            if data[at + 1] == 0xF9 and data[at + 3] & 1:
                found.add(ALPHA)
            at += 2
        else:
            break
        while data[at]:
            at += data[at] + 1
        at += 1
        if pictures >= _MOST:
            found.add(ANIMATION)
            break
    return found


def _table(flags: int) -> int:
    """Bytes of a GIF's table of colours."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _tiff(data: bytes) -> set[str]:
    order = "<" if data[:2] == b"II" else ">"
    found: set[str] = set()
    for pages, tags in enumerate(directories(data, order), 1):
        if pages >= _MOST:
            found.add(PAGES)
            break
        if any(bits > 8 for bits in tags.get(BITS, ())):
            found.add(DEEP)
        # 1 and 2 are transparency, 0 is unknown.
        if any(kind in (1, 2) for kind in tags.get(_EXTRA, ())):
            found.add(ALPHA)
    return found


def directories(data: bytes | memoryview, order: str) -> Iterator[dict[int, tuple[int, ...]]]:
    """The short values of each of a TIFF's directories, by tag."""
    at = struct.unpack_from(f"{order}I", data, 4)[0]
    while at:
        count = struct.unpack_from(f"{order}H", data, at)[0]
        tags = {}
        for place in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, number = struct.unpack_from(f"{order}HHI", data, place)
            if kind == 3 and 0 < number < 16:
                where = place + 8
                if number > 2:
                    where = struct.unpack_from(f"{order}I", data, where)[0]
                tags[tag] = struct.unpack_from(f"{order}{number}H", data, where)
        yield tags
        at = struct.unpack_from(f"{order}I", data, at + 2 + 12 * count)[0]


def _jp2(data: bytes) -> set[str]:
    """What the boxes before a JPEG 2000's picture say (ISO/IEC 15444-1, annex I)."""
    found: set[str] = set()
    head = next((body for kind, body in boxes_of(data) if kind == b"jp2h"), b"")
    for kind, body in boxes_of(head):
        if kind == b"ihdr" and body[10] != _VARIES and (body[10] & 0x7F) + 1 > 8:
            found.add(DEEP)
        if kind == b"cdef":  # of each channel its number, what it is for, and of which colour
            count = struct.unpack_from(">H", body)[0]
            kinds = struct.unpack_from(f">{3 * count}H", body, 2)[1::3]
            found |= {ALPHA} if {1, 2} & set(kinds) else set()
    return found


def unmultiplied(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture file of which OpenCV gives the colours as they are in it.

    libtiff multiplies those of a TIFF by its opacity where the file says that they are not yet
    (ExtraSamples 2); where it does not say, it leaves them alone.
    """
    head = data[:4].tobytes()
    if head not in (b"II*\0", b"MM\0*"):
        return data
    order = "<" if head[:1] == b"I" else ">"
    changed = data.copy()
    view = changed.data
    try:
        at = struct.unpack_from(f"{order}I", view, 4)[0]
        count = struct.unpack_from(f"{order}H", view, at)[0]
        for place in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, number = struct.unpack_from(f"{order}HHI", view, place)
            if tag == _EXTRA and kind == 3 and number == 1:
                value = struct.unpack_from(f"{order}H", view, place + 8)[0]
                struct.pack_into(f"{order}H", view, place + 8, 0 if value == 2 else value)
    except struct.error:  # cut short or damaged: its reader says so
        return data
    return changed


_GAP = rb"(?:\s|#[^\n]*\n)+"
_PNM = re.compile(rb"P[2356]" + (_GAP + rb"(?:\d+)") * 2 + _GAP + rb"(\d+)")
_PAM = re.compile(rb"P7\s.*?\sMAXVAL[ \t]+(\d+)", re.DOTALL)


def pnm_most(head: bytes) -> int:
    """What a PNM, grey or in colours, says that its brightest sample is; 0 of other files."""
    found = _PNM.match(head) or _PAM.match(head)
    return int(found[1]) if found else 0


def _pnm(data: bytes) -> set[str]:
    return {DEEP} if pnm_most(data[:4096]) > 255 else set()


_READ: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], set[str]]], ...] = (
    (lambda data: data.startswith(b"\xff\xd8\xff"), _jpeg),
    (lambda data: data.startswith(PNG), _png),
    (lambda data: data.startswith(_GIF), _gif),
    (lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP", _webp),
    (lambda data: data[4:8] == b"ftyp", _heif),
    (lambda data: data[4:8] == b"jP  ", _jp2),
    (lambda data: data[:4] in (b"II*\0", b"MM\0*"), _tiff),
    (lambda data: data[:1] == b"P" and data[1:2] in b"23567", _pnm),
)
"""How files begin, and what reads them."""
