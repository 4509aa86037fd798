"""The boxes of HEIF's kind, one by one."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from stream.photo_files.heif_boxes import (
    boxes_of,
    content_of,
    described,
    inside,
    items_of,
    made_of,
    main_item,
)
from tests.heif import tiled


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (_box(b"free", b"xyz"), b"xyz"),
        (struct.pack(">I4sQ", 1, b"free", 19) + b"xyz", b"xyz"),  # a length of 64 bits
        (struct.pack(">I4s", 0, b"free") + b"xyz", b"xyz"),  # to the end of the file
        (struct.pack(">I4s", 30, b"free") + b"xyz", b"xyz"),  # more than there is
        (struct.pack(">I4s", 7, b"free") + b"xyz", None),  # less than its own head
        (b"\0\0\0", None),
    ],
)
def test_a_box_reaches_as_far_as_it_says(last: bytes, told: bytes | None) -> None:
    first = (b"meta", b"\0\0\0\0")
    found = list(boxes_of(_box(*first) + last))
    assert found == [first, (b"free", told)] if told else found == [first]
    assert list(inside(_box(*first) + last, b"free")) == [told] * bool(told)


@pytest.mark.parametrize("wide", [False, True])
def test_a_picture_in_tiles_says_which(tmp_path: Path, wide: bool) -> None:
    """Numbers of 16 bits, or of 32."""
    picture = np.zeros((128, 192, 3), np.uint8)
    data = tiled(tmp_path / "a.heic", picture, (64, 64), wide=wide).read_bytes()
    boxes = described(data)
    kinds = {item: kind for item, kind, _ in items_of(boxes[b"iinf"])}
    main = main_item(boxes)
    assert kinds[main] == b"grid"
    tiles = made_of(boxes[b"iref"], main)
    assert len(tiles) == 6 and {kinds[tile] for tile in tiles} == {b"hvc1"}
    assert content_of(data, boxes, main)[2:4] == bytes([1, 2])  # rows and columns, less one
    with pytest.raises(KeyError):
        content_of(data, boxes, 99)
