"""What a camera noted of a photo (EXIF), made true of the picture that is written."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_PREFIX = b"Exif\0\0"
_ORIENTATION = 0x0112
# Bytes of a value by its type (TIFF 6.0, section 2, and Exif 2.3's 129 for text).
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}
_BYTES = frozenset({1, 6, 7})
# Directories of Exif, of the place and of interoperability; all others hold pictures.
_PLACE = 0x8825
DIRECTORIES = frozenset({0x8769, _PLACE, 0xA005})
_MAKER_NOTE = 0x927C
# Where a directory's picture lies, and how long it is: as JPEG, in strips, in tiles.
_PICTURES = ((0x0201, 0x0202), (0x0111, 0x0117), (0x0144, 0x0145))
_MOST = 1024
"""Bytes of a value that is no text and no numbers from which on it may be a picture."""
_DEEPEST = 8

Span = tuple[int, int]


class Entry:
    """One entry of a directory: where it stands, its tag, and where its value lies.

    Attributes:
        at: where it stands.
        tag: what it is.
        kind: of its values, as TIFF numbers them.
        count: of its values.
        span: where they lie.
    """

    def __init__(self, data: bytes, order: str, at: int) -> None:
        self.at = at
        self.tag, self.kind, self.count = struct.unpack_from(order + "HHI", data, at)
        size = _SIZES[self.kind] * self.count
        where = at + 8 if size <= 4 else struct.unpack_from(order + "I", data, at + 8)[0]
        if where + size > len(data):
            raise struct.error("a value lies beyond the end")
        self.span: Span = (where, where + size)
        self._data, self._order = data, order

    def numbers(self) -> tuple[int, ...]:
        """The values of one of shorts or longs."""
        letter = {3: "H", 4: "I", 13: "I"}[self.kind]
        return struct.unpack_from(f"{self._order}{self.count}{letter}", self._data, self.span[0])


def upright(exif: bytes, *, conceals: bool = False) -> bytes:
    """EXIF data that is true of another picture, which stands upright, and holds none itself.

    A camera's thumbnail shows the picture as it was, so that it is blanked. Everything else stays
    where it is, since what a camera's maker notes may refer to it by its place.

    Args:
        exif: a TIFF header, then directories (TIFF 6.0, section 2; Exif 2.3, 4.5).
        conceals: whether nothing of the picture as it was may be seen: then also the maker's notes,
            which may hold a larger picture, values that may be one, and what nothing refers to are
            blanked.

    Returns:
        As many bytes; damaged data as it is, or none where it might conceal something.
    """
    prefix = exif[: len(_PREFIX)] if exif.startswith(_PREFIX) else b""
    data = exif[len(prefix) :]
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return b"" if conceals else exif
    patched = bytearray(data)
    try:
        (first,) = struct.unpack_from(order + "I", data, 4)
        _turn(patched, order, first)
        return prefix + _blanked(bytes(patched), order, first, conceals=conceals)
    except (struct.error, KeyError):
        return b"" if conceals else prefix + bytes(patched)


def says_where(exif: bytes) -> bool:
    """Whether EXIF data says where a photo was taken."""
    data = exif.removeprefix(_PREFIX)
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return False
    try:
        (first,) = struct.unpack_from(order + "I", data, 4)
        return any(one.tag == _PLACE for one in entries_at(data, order, first))
    except (struct.error, KeyError):
        return False


def _turn(patched: bytearray, order: str, first: int) -> None:
    """Says that the picture stands upright, also where the rest is damaged."""
    for at in range(first + 2, min(_end(patched, order, first), len(patched) - 11), 12):
        if struct.unpack_from(order + "H", patched, at)[0] == _ORIENTATION:
            struct.pack_into(order + "H", patched, at + 8, 1)


def _blanked(data: bytes, order: str, first: int, *, conceals: bool) -> bytes:
    """The data with nothing where pictures were."""
    changed = bytearray(data)
    kept: list[Span] = [(0, 8), *_cleaned(changed, data, order, first, conceals=conceals)]
    end = _end(data, order, first)
    (further,) = struct.unpack_from(order + "I", data, end)
    gone = [(0, len(data))] if conceals else list(_thumbnails(data, order, further))
    struct.pack_into(order + "I", changed, _end(changed, order, first), 0)
    blank = bytearray(changed)
    for begin, end in gone:
        blank[begin:end] = bytes(len(blank[begin:end]))
    for begin, end in kept:
        blank[begin:end] = changed[begin:end]
    return bytes(blank)


def _end(data: bytes | bytearray, order: str, at: int) -> int:
    """Where a directory says which is next."""
    return at + 2 + 12 * int(struct.unpack_from(order + "H", data, at)[0])


def entries_at(data: bytes, order: str, at: int) -> list[Entry]:
    """The entries of a directory.

    Args:
        data: from a TIFF header on.
        order: of its bytes, for `struct`.
        at: where the directory is.

    Raises:
        struct.error: it, or a value, lies beyond the end.
        KeyError: a value is of a kind that is not known.
    """
    places = range(at + 2, _end(data, order, at), 12)
    return [Entry(data, order, place) for place in places]


def _cleaned(
    changed: bytearray, data: bytes, order: str, at: int, *, conceals: bool, depth: int = 0
) -> Iterator[Span]:
    """Leaves out a directory's entries that may be pictures; what of it and its values stays."""
    if depth > _DEEPEST:
        raise struct.error("directories lie within each other")
    kept = []
    for entry in entries_at(data, order, at):
        begin, end = entry.span
        picture = entry.kind in _BYTES and end - begin > _MOST
        inner = entry.kind == 13 and entry.tag not in DIRECTORIES
        if conceals and (picture or inner or entry.tag in (_MAKER_NOTE, 0x014A)):
            continue
        kept.append(data[entry.at : entry.at + 12])
        yield entry.span
        if entry.tag in DIRECTORIES:
            (inside,) = entry.numbers()[:1]
            yield from _cleaned(changed, data, order, inside, conceals=conceals, depth=depth + 1)
    end = _end(data, order, at)
    directory = struct.pack(order + "H", len(kept)) + b"".join(kept) + data[end : end + 4]
    changed[at : end + 4] = directory.ljust(end + 4 - at, b"\0")
    yield at, end + 4


def _thumbnails(data: bytes, order: str, at: int) -> Iterator[Span]:
    """Directories behind the first, and where their pictures lie."""
    for _ in range(_DEEPEST):
        if not at:
            return
        entries = {one.tag: one for one in entries_at(data, order, at)}
        for one in entries.values():
            yield one.span
        for place, length in _PICTURES:
            if place in entries and length in entries:
                begins, sizes = entries[place].numbers(), entries[length].numbers()
                yield from (
                    (begin, begin + size) for begin, size in zip(begins, sizes, strict=False)
                )
        end = _end(data, order, at)
        yield at, end + 4
        (at,) = struct.unpack_from(order + "I", data, end)
