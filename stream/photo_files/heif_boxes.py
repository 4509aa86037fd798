"""The boxes of files of HEIF's kind: what items there are, what is said of each, where it lies.

They are those of ISO/IEC 14496-12 and 23008-12 (HEIF). What is damaged raises `struct.error`,
`IndexError` or `KeyError`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping


def boxes_of(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes of a file of this kind, or of a box: what each is called, and its content."""
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        if length == 0:
            length = len(data) - at
        if length < head:
            return
        yield kind, data[at + head : at + length]
        at += length


def inside(data: bytes, wanted: bytes) -> Iterator[bytes]:
    """The contents of the boxes of a name."""
    return (body for kind, body in boxes_of(data) if kind == wanted)


def described(data: bytes) -> dict[bytes, bytes]:
    """The boxes that say what is in a file; none where it says nothing."""
    return {kind: body for meta in inside(data, b"meta") for kind, body in boxes_of(meta[4:])}


def main_item(boxes: Mapping[bytes, bytes]) -> int:
    """The number of the item that is the picture."""
    pitm = boxes[b"pitm"]
    return int(struct.unpack_from(">I" if pitm[0] else ">H", pitm, 4)[0])


def items_of(iinf: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Each item's number, its kind, and what is said beside: its name, and of what type it is."""
    for kind, body in boxes_of(iinf[8 if iinf[0] else 6 :]):
        if kind == b"infe" and body[0] >= 2:
            form = ">IH4s" if body[0] > 2 else ">HH4s"
            number, _, what = struct.unpack_from(form, body, 4)
            yield number, what, body[4 + struct.calcsize(form) :]


def described_by(iref: bytes, item: int) -> frozenset[int]:
    """The items that describe an item."""
    form = ">I" if iref[:1] == b"\1" else ">H"
    size = struct.calcsize(form)
    found = set()
    for kind, body in boxes_of(iref[4:]):
        (begin,) = struct.unpack_from(form, body)
        (count,) = struct.unpack_from(">H", body, size)
        if kind == b"cdsc" and item in struct.unpack_from(f">{count}{form[1]}", body, size + 2):
            found.add(begin)
    return frozenset(found)


def made_of(iref: bytes, item: int) -> tuple[int, ...]:
    """The items that an item is derived from."""
    form = ">I" if iref[0] else ">H"
    size = struct.calcsize(form)
    for kind, body in boxes_of(iref[4:]):
        if kind == b"dimg" and struct.unpack_from(form, body)[0] == item:
            (count,) = struct.unpack_from(">H", body, size)
            return struct.unpack_from(f">{count}{form[1]}", body, size + 2)
    return ()


def content_of(data: bytes, boxes: Mapping[bytes, bytes], item: int) -> bytes:
    """The bytes of an item: from the file, or from the box for small ones."""
    iloc = boxes[b"iloc"]
    version = iloc[0]
    widths = (iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4, iloc[5] & 15 if version else 0)
    offset_size, length_size, base_size, index_size = widths
    at = 6

    def number(size: int) -> int:
        nonlocal at
        at += size
        if at > len(iloc):
            raise IndexError(at)
        return int.from_bytes(iloc[at - size : at], "big")

    for _ in range(number(4 if version == 2 else 2)):
        found = number(4 if version == 2 else 2)
        held_in = number(2) & 15 if version else 0
        number(2)
        base = number(base_size)
        parts = []
        for _ in range(number(2)):
            number(index_size)
            begin = base + number(offset_size)
            parts.append((begin, begin + number(length_size)))
        if found == item:
            held = boxes[b"idat"] if held_in == 1 else data
            return b"".join(held[begin:end] for begin, end in parts)
    raise KeyError(item)


def properties_of(ipma: bytes, item: int) -> list[int]:
    """The places of an item's properties in the list of all, from 1."""
    form, at = (">I" if ipma[0] else ">H"), 8
    long = ipma[3] & 1
    for _ in range(struct.unpack_from(">I", ipma, 4)[0]):
        (number,) = struct.unpack_from(form, ipma, at)
        at += struct.calcsize(form)
        count = ipma[at]
        places = struct.unpack_from(f">{count}{'H' if long else 'B'}", ipma, at + 1)
        at += 1 + count * (2 if long else 1)
        if number == item:
            return [place & (0x7FFF if long else 0x7F) for place in places if place]
    return []


def all_properties(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The properties of all of a file's items: kind and content."""
    if data[4:8] != b"ftyp":
        return
    for meta in inside(data, b"meta"):
        for iprp in inside(meta[4:], b"iprp"):
            for ipco in inside(iprp, b"ipco"):
                yield from boxes_of(ipco)
