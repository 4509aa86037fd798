"""Motion JPEG taken apart by its pictures' own marks."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from stream.sources._multipart import Pictures


def _jpeg(seed: int, *, progressive: bool = False, thumbnail: bytes = b"") -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    file = io.BytesIO()
    within = Image.Exif()
    if thumbnail:
        within[0x9286] = thumbnail
    Image.fromarray(noise).save(
        file, "jpeg", quality=95, progressive=progressive, exif=within, restart_marker_blocks=2
    )
    return file.getvalue()


PICTURES = [
    _jpeg(1),
    _jpeg(2, progressive=True),
    _jpeg(3, thumbnail=_jpeg(4)),
    _jpeg(5)[:-2] + b"\xff\xff\xff\xd9",
]


@pytest.mark.parametrize("between", [b"", b"\n", b"\r\n--part\r\nContent-Type: image/jpeg\r\n\r\n"])
@pytest.mark.parametrize("step", [1, 7, 4096])
def test_each_picture_is_whole_as_soon_as_its_end_has_come(between, step):
    assert PICTURES[2].count(b"\xff\xd8\xff") == 2, "it holds a smaller one"
    pictures, came = Pictures(), b"".join(between + one for one in PICTURES)
    ends = np.cumsum([len(between) + len(one) for one in PICTURES])
    found: list[bytes] = []
    for start in range(0, len(came), step):
        found += pictures.take(came[start : start + step])
        assert len(found) == np.sum(ends <= start + step)
    assert found == PICTURES and pictures.rest() == b""


def test_a_picture_without_an_end_ends_where_the_next_one_begins():
    cut = PICTURES[0][:900]
    pictures = Pictures()
    assert list(pictures.take(b"--part\r\n\r\n" + cut + PICTURES[1] + cut)) == [cut, PICTURES[1]]
    assert pictures.rest() == cut


def test_what_is_no_picture_is_counted_and_not_kept():
    pictures = Pictures()
    for _ in range(100):
        assert list(pictures.take(b"<html>" * 100)) == []
    assert not pictures.found and pictures.passed >= 100 * 600 - 2 and len(pictures._data) <= 2
