"""Files of HEIF's kind, HEIC and AVIF: what a picture is made of, and what lies beside it.

The boxes are those of ISO/IEC 14496-12 and 23008-12 (HEIF).
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.types import Array

Pixels = NDArray[np.uint8]

SEQUENCES = frozenset({"avis", "hevc", "hevx", "msf1"})
"""Brands of files that are to be shown as films."""

_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
"""What pictures are for that say how opaque another is (MIAF and HEIF)."""

_GAIN_MAP = b"urn:com:apple:photo:2020:aux:hdrgainmap"


@dataclass(frozen=True, slots=True)
class Whole:
    """How a picture is put together.

    Attributes:
        items: the numbers of the items that it is made of, from left to right and top to bottom;
            one where it is not in tiles.
        columns: how many of them lie side by side.
        size: width and height in pixels, beyond which tiles are cut off; None where there is one.
        steps: what turns it upright, one after the other.
    """

    items: tuple[int, ...]
    columns: int = 1
    size: tuple[int, int] | None = None
    steps: tuple[Callable[[Pixels], Pixels], ...] = ()

    @property
    def tiled(self) -> bool:
        """Whether it is made of tiles."""
        return self.size is not None

    def joined(self, tiles: Mapping[int, Pixels]) -> Pixels:
        """The picture upright.

        Args:
            tiles: uint8 [h, w, 3] for each of `items`, all of one size.

        Raises:
            ValueError: a tile is missing or of another size, or they do not reach to the edges.
        """
        missing = [item for item in self.items if item not in tiles]
        if missing or self.size is None:
            raise ValueError(f"{len(missing)} of {len(self.items)} tiles are missing")
        rows = [
            np.concatenate([tiles[item] for item in self.items[at : at + self.columns]], axis=1)
            for at in range(0, len(self.items), self.columns)
        ]
        picture = np.concatenate(rows)
        width, height = self.size
        if picture.shape[0] < height or picture.shape[1] < width:
            raise ValueError("the tiles are smaller than the picture")
        picture = picture[:height, :width]
        for step in self.steps:
            picture = step(picture)
        return np.ascontiguousarray(picture)


@dataclass(frozen=True, slots=True)
class Beside:
    """What a file says of its main picture; each is empty where it does not.

    Attributes:
        exif: what the camera noted, from its TIFF header on.
        icc: the colour profile.
        xmp: the packet.
    """

    exif: bytes = b""
    icc: bytes = b""
    xmp: bytes = b""


def beside(data: bytes) -> Beside:
    """What a file says of its main picture, as far as it can be read.

    Args:
        data: the file.
    """
    exif = icc = xmp = b""
    try:
        boxes = _described(data)
        main = _main(boxes)
        for place in _properties(dict(boxes_of(boxes[b"iprp"]))[b"ipma"], main):
            kind, body = list(_all_properties(data))[place - 1]
            if kind == b"colr" and body[:4] in (b"prof", b"rICC"):
                icc = body[4:]
        about = _about(boxes.get(b"iref", b""), main)
        for item, kind, rest in _items(boxes[b"iinf"]):
            if item not in about:
                continue
            if kind == b"Exif":
                content = _content(data, boxes, item)
                exif = content[4 + struct.unpack_from(">I", content)[0] :]
            elif kind == b"mime" and rest.split(b"\0")[1:2] == [b"application/rdf+xml"]:
                xmp = _content(data, boxes, item)
    except (struct.error, IndexError, KeyError):
        pass
    return Beside(exif, icc, xmp)


def _described(data: bytes) -> dict[bytes, bytes]:
    """The boxes that say what is in a file; none where it says nothing."""
    return {kind: body for meta in _inside(data, b"meta") for kind, body in boxes_of(meta[4:])}


def _main(boxes: Mapping[bytes, bytes]) -> int:
    pitm = boxes[b"pitm"]
    return int(struct.unpack_from(">I" if pitm[0] else ">H", pitm, 4)[0])


def whole_of(data: bytes) -> Whole | None:
    """What the main picture of a HEIF file is made of.

    Args:
        data: the file.

    Returns:
        None where the file does not say, or is damaged.

    Raises:
        ValueError: it is put together in a way that is not carried out here.
    """
    try:
        return _whole(data, _described(data))
    except (struct.error, IndexError, KeyError):
        return None


def to_be_seen(data: bytes, pixels: Array) -> Array:
    """The main picture of a HEIF file as it is to be seen: cut, turned and mirrored as is said.

    EXIF data say nothing of that here (ISO/IEC 23008-12, annex A).

    Args:
        data: the file; of one that does not say, or is damaged, the pixels stay as they are.
        pixels: as its decoder gives them, [H, W, ...].
    """
    with contextlib.suppress(struct.error, IndexError, KeyError):
        boxes = _described(data)
        for step in tuple(_steps(boxes[b"iprp"], _main(boxes))):
            pixels = step(pixels)
    return pixels


def shown_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of the main picture of a HEIF file as it is to be seen.

    Args:
        data: the file.

    Returns:
        None where the file does not say, or is damaged.
    """
    with contextlib.suppress(struct.error, IndexError, KeyError, StopIteration, ValueError):
        boxes = _described(data)
        told = dict(boxes_of(boxes[b"iprp"]))
        kinds = list(_all_properties(data))
        own = [kinds[place - 1] for place in _properties(told[b"ipma"], _main(boxes))]
        size = next(struct.unpack_from(">II", body, 4) for kind, body in own if kind == b"ispe")
        # Of pixels there is one, wherever it is looked at.
        height, width = to_be_seen(data, np.broadcast_to(np.uint8(0), size[::-1])).shape
        return width, height
    return None


def is_sequence(data: bytes) -> bool:
    """Whether a file of HEIF's kind is a sequence of pictures with times (AVIF, HEIC).

    Raises:
        struct.error: it is damaged.
    """
    if data[4:8] != b"ftyp" or data[8:12].decode("latin-1") not in SEQUENCES:
        return False
    return any(
        struct.unpack_from(">I", body, 8)[0] > 1  # stsz: how many pictures have a size
        for moov in _inside(data, b"moov")
        for trak in _inside(moov, b"trak")
        for mdia in _inside(trak, b"mdia")
        for minf in _inside(mdia, b"minf")
        for stbl in _inside(minf, b"stbl")
        for body in _inside(stbl, b"stsz")
    )


def has_opacity(data: bytes) -> bool:
    """Whether a picture of HEIF's kind has another that says how opaque it is."""
    return any(
        kind == b"auxC" and body[4:].partition(b"\0")[0] in _ALPHA
        for kind, body in _all_properties(data)
    )


def has_gain_map(data: bytes) -> bool:
    """Whether a picture of HEIF's kind has one that says how bright it may be (ISO 21496-1)."""
    apples = any(
        kind == b"auxC" and body[4:].partition(b"\0")[0] == _GAIN_MAP
        for kind, body in _all_properties(data)
    )
    return apples or any(
        kind == b"tmap"
        for meta in _inside(data, b"meta")
        for iinf in _inside(meta[4:], b"iinf")
        for _, kind, _ in _items(iinf)
    )


def is_deep(data: bytes) -> bool:
    """Whether a picture of HEIF's kind has more than 8 bits a sample."""
    return any(
        kind == b"pixi" and any(bits > 8 for bits in body[5:])
        for kind, body in _all_properties(data)
    )


def _all_properties(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The properties of all of a file's items: kind and content."""
    if data[4:8] != b"ftyp":
        return
    for meta in _inside(data, b"meta"):
        for iprp in _inside(meta[4:], b"iprp"):
            for ipco in _inside(iprp, b"ipco"):
                yield from boxes_of(ipco)


def _inside(data: bytes, wanted: bytes) -> Iterator[bytes]:
    return (body for kind, body in boxes_of(data) if kind == wanted)


def _whole(data: bytes, boxes: Mapping[bytes, bytes]) -> Whole:
    main = _main(boxes)
    kinds = {item: kind for item, kind, _ in _items(boxes[b"iinf"])}
    if kinds[main] != b"grid":
        return Whole((main,))
    grid = _content(data, boxes, main)
    wide = grid[1] & 1
    rows, columns = grid[2] + 1, grid[3] + 1
    size = struct.unpack_from(">II" if wide else ">HH", grid, 4)
    items = _made_of(boxes[b"iref"], main)
    if len(items) != rows * columns or 0 in size:
        raise ValueError(f"it says {rows} x {columns} tiles and has {len(items)}")
    if any(kinds.get(item) not in (b"hvc1", b"av01", b"avc1") for item in items):
        raise ValueError("its tiles are pictures of a kind that is not known here")
    return Whole(items, columns, size, tuple(_steps(boxes[b"iprp"], main)))


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


def _items(iinf: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Each item's number, its kind, and what is said beside: its name, and of what type it is."""
    for kind, body in boxes_of(iinf[8 if iinf[0] else 6 :]):
        if kind == b"infe" and body[0] >= 2:
            form = ">IH4s" if body[0] > 2 else ">HH4s"
            number, _, what = struct.unpack_from(form, body, 4)
            yield number, what, body[4 + struct.calcsize(form) :]


def _about(iref: bytes, item: int) -> frozenset[int]:
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


def _made_of(iref: bytes, item: int) -> tuple[int, ...]:
    """The items that an item is derived from."""
    form = ">I" if iref[0] else ">H"
    size = struct.calcsize(form)
    for kind, body in boxes_of(iref[4:]):
        if kind == b"dimg" and struct.unpack_from(form, body)[0] == item:
            (count,) = struct.unpack_from(">H", body, size)
            return struct.unpack_from(f">{count}{form[1]}", body, size + 2)
    return ()


def _content(data: bytes, boxes: Mapping[bytes, bytes], item: int) -> bytes:
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
        inside = number(2) & 15 if version else 0
        number(2)
        base = number(base_size)
        parts = []
        for _ in range(number(2)):
            number(index_size)
            begin = base + number(offset_size)
            parts.append((begin, begin + number(length_size)))
        if found == item:
            held = boxes[b"idat"] if inside == 1 else data
            return b"".join(held[begin:end] for begin, end in parts)
    raise KeyError(item)


def _steps(iprp: bytes, item: int) -> Iterator[Callable[[Pixels], Pixels]]:
    """What an item's properties say of turning it, in their order."""
    boxes = dict(boxes_of(iprp))
    properties = list(boxes_of(boxes[b"ipco"]))
    for place in _properties(boxes[b"ipma"], item):
        kind, body = properties[place - 1]
        if kind == b"irot":
            yield _turned(body[0] & 3)
        elif kind == b"imir":
            # As Exif's orientations 4 and 2: rows exchanged, or columns.
            yield _flipped(body[0] & 1)
        elif kind == b"clap":
            yield _cut(*struct.unpack_from(">IIIIiIiI", body))


def _turned(quarters: int) -> Callable[[Pixels], Pixels]:
    return lambda picture: np.rot90(picture, quarters)


def _flipped(axis: int) -> Callable[[Pixels], Pixels]:
    return lambda picture: np.flip(picture, axis)


def _cut(*about: int) -> Callable[[Pixels], Pixels]:
    """Keeps the clean aperture (ISO/IEC 14496-12, 12.1.4): its size, and its middle's place."""
    width, height, right, down = (
        above / below if below else 0.0
        for above, below in zip(about[::2], about[1::2], strict=True)
    )

    def cut(picture: Pixels) -> Pixels:
        rows, columns = picture.shape[:2]
        if (rows, columns) == (round(height), round(width)):  # its decoder has done it
            return picture
        top = max(0, round(down + (rows - height) / 2))
        left = max(0, round(right + (columns - width) / 2))
        kept = picture[top : top + round(height), left : left + round(width)]
        return kept if kept.size else picture

    return cut


def _properties(ipma: bytes, item: int) -> list[int]:
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
