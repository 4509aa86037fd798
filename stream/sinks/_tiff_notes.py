"""What a TIFF says beside its pixels, in the forms that other kinds of photos have it."""

from __future__ import annotations

import struct
from fractions import Fraction

from stream.sinks._exif import DIRECTORIES, Entry, entries_at

# TIFF 6.0's tags, IPTC's and the colour profile's (ICC.1, B.4), XMP's (part 3, 1.1.4).
_XMP, _IPTC, _ICC = 700, 33723, 34675
_ACROSS, _DOWN, _UNIT = 282, 283, 296
_METRES = {2: Fraction(254, 10_000), 3: Fraction(1, 100)}
"""By TIFF's units; 1 is none."""
# What was photographed by whom with what, and the directories of Exif and of the place. All else
# says how the pixels are stored.
_NOTED = frozenset({270, 271, 272, 306, 315, 33432, 0x8769, 0x8825})
_MAKER_NOTE = 0x927C
_LONG, _DEEPEST = 4, 3


def notes_in(data: bytes) -> tuple[bytes, bytes]:
    """What a camera noted, as EXIF from its TIFF header on, and the colour profile.

    A maker's notes are left out: they refer to places in their own file.

    Args:
        data: the file.

    Returns:
        Each is empty where there is none, or it is damaged.
    """
    try:
        order, first = _first(data)
        tags = {one.tag: one for one in entries_at(data, order, first)}
        exif = b""
        if _NOTED & set(tags):
            head = data[:4] + struct.pack(order + "I", 8)
            exif = head + _rewritten(data, order, first, 8, _NOTED)
        return exif, _value(data, tags.get(_ICC))
    except (struct.error, KeyError, IndexError):
        return b"", b""


def words_in(data: bytes) -> tuple[bytes, bytes, tuple[Fraction, Fraction] | None]:
    """XMP, IPTC's record, and samples per metre across and down, as far as a TIFF has them.

    Args:
        data: the file.
    """
    try:
        order, first = _first(data)
        tags = {one.tag: one for one in entries_at(data, order, first)}
        density = None
        if _ACROSS in tags and _DOWN in tags:
            unit = tags[_UNIT].numbers()[0] if _UNIT in tags else 2
            sides = [_fraction(data, order, tags[one]) for one in (_ACROSS, _DOWN)]
            if unit in _METRES and all(sides):
                density = sides[0] / _METRES[unit], sides[1] / _METRES[unit]
        return _value(data, tags.get(_XMP)), _value(data, tags.get(_IPTC)), density
    except (struct.error, KeyError, IndexError):
        return b"", b"", None


def _first(data: bytes) -> tuple[str, int]:
    order = {b"II": "<", b"MM": ">"}[data[:2]]
    return order, int(struct.unpack_from(order + "I", data, 4)[0])


def _value(data: bytes, entry: Entry | None) -> bytes:
    return b"" if entry is None else data[slice(*entry.span)]


def _fraction(data: bytes, order: str, entry: Entry) -> Fraction:
    above, below = struct.unpack_from(order + "II", data, entry.span[0])
    return Fraction(above, below) if below else Fraction(0)


def _rewritten(
    data: bytes, order: str, at: int, base: int, wanted: frozenset[int] | None, depth: int = 0
) -> bytes:
    """A directory, and all that its entries refer to, as it is to lie from a place on.

    Args:
        data: the file.
        order: of its bytes, for `struct`.
        at: where the directory is in it.
        base: the place in what is written.
        wanted: tags; None for all that can be moved.
        depth: in how many others it lies.
    """
    if depth > _DEEPEST:
        raise struct.error("directories lie within each other")
    kept = [
        one
        for one in entries_at(data, order, at)
        if (one.tag in wanted if wanted is not None else one.tag != _MAKER_NOTE)
    ]
    rows, rest = b"", b""
    begin = base + 2 + 12 * len(kept) + 4
    for one in kept:
        value, kind, count = data[slice(*one.span)], one.kind, one.count
        if one.tag in DIRECTORIES:
            inside = one.numbers()[0]
            value = _rewritten(data, order, inside, begin + len(rest), None, depth + 1)
            kind, count = _LONG, 1
        short = one.tag not in DIRECTORIES and len(value) <= 4
        field = value.ljust(4, b"\0") if short else struct.pack(order + "I", begin + len(rest))
        rows += struct.pack(order + "HHI", one.tag, kind, count) + field
        rest += b"" if short else value + bytes(len(value) % 2)
    return struct.pack(order + "H", len(kept)) + rows + bytes(4) + rest
