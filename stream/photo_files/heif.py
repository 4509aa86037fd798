"""Files of HEIF's kind, HEIC and AVIF: what a picture is made of, and what lies beside it."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.photo_files.heif_boxes import (
    all_properties,
    boxes_of,
    content_of,
    described,
    described_by,
    inside,
    items_of,
    made_of,
    main_item,
    properties_of,
)
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
        boxes = described(data)
        main = main_item(boxes)
        for place in properties_of(dict(boxes_of(boxes[b"iprp"]))[b"ipma"], main):
            kind, body = list(all_properties(data))[place - 1]
            if kind == b"colr" and body[:4] in (b"prof", b"rICC"):
                icc = body[4:]
        about = described_by(boxes.get(b"iref", b""), main)
        for item, kind, rest in items_of(boxes[b"iinf"]):
            if item not in about:
                continue
            if kind == b"Exif":
                content = content_of(data, boxes, item)
                exif = content[4 + struct.unpack_from(">I", content)[0] :]
            elif kind == b"mime" and rest.split(b"\0")[1:2] == [b"application/rdf+xml"]:
                xmp = content_of(data, boxes, item)
    except (struct.error, IndexError, KeyError):
        pass
    return Beside(exif, icc, xmp)


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
        return _whole(data, described(data))
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
        boxes = described(data)
        for step in tuple(_steps(boxes[b"iprp"], main_item(boxes))):
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
        boxes = described(data)
        told = dict(boxes_of(boxes[b"iprp"]))
        kinds = list(all_properties(data))
        own = [kinds[place - 1] for place in properties_of(told[b"ipma"], main_item(boxes))]
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
        for moov in inside(data, b"moov")
        for trak in inside(moov, b"trak")
        for mdia in inside(trak, b"mdia")
        for minf in inside(mdia, b"minf")
        for stbl in inside(minf, b"stbl")
        for body in inside(stbl, b"stsz")
    )


def has_opacity(data: bytes) -> bool:
    """Whether a picture of HEIF's kind has another that says how opaque it is."""
    return any(
        kind == b"auxC" and body[4:].partition(b"\0")[0] in _ALPHA
        for kind, body in all_properties(data)
    )


def has_gain_map(data: bytes) -> bool:
    """Whether a picture of HEIF's kind has one that says how bright it may be (ISO 21496-1)."""
    apples = any(
        kind == b"auxC" and body[4:].partition(b"\0")[0] == _GAIN_MAP
        for kind, body in all_properties(data)
    )
    return apples or any(
        kind == b"tmap"
        for meta in inside(data, b"meta")
        for iinf in inside(meta[4:], b"iinf")
        for _, kind, _ in items_of(iinf)
    )


def is_deep(data: bytes) -> bool:
    """Whether a picture of HEIF's kind has more than 8 bits a sample."""
    return any(
        kind == b"pixi" and any(bits > 8 for bits in body[5:])
        for kind, body in all_properties(data)
    )


def _whole(data: bytes, boxes: Mapping[bytes, bytes]) -> Whole:
    main = main_item(boxes)
    kinds = {item: kind for item, kind, _ in items_of(boxes[b"iinf"])}
    if kinds[main] != b"grid":
        return Whole((main,))
    grid = content_of(data, boxes, main)
    wide = grid[1] & 1
    rows, columns = grid[2] + 1, grid[3] + 1
    size = struct.unpack_from(">II" if wide else ">HH", grid, 4)
    items = made_of(boxes[b"iref"], main)
    if len(items) != rows * columns or 0 in size:
        raise ValueError(f"it says {rows} x {columns} tiles and has {len(items)}")
    if any(kinds.get(item) not in (b"hvc1", b"av01", b"avc1") for item in items):
        raise ValueError("its tiles are pictures of a kind that is not known here")
    return Whole(items, columns, size, tuple(_steps(boxes[b"iprp"], main)))


def _steps(iprp: bytes, item: int) -> Iterator[Callable[[Pixels], Pixels]]:
    """What an item's properties say of turning it, in their order."""
    boxes = dict(boxes_of(iprp))
    properties = list(boxes_of(boxes[b"ipco"]))
    for place in properties_of(boxes[b"ipma"], item):
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
