"""HEIC pictures in tiles, as phones write them, are put together and turned upright."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import SourceError
from stream.photo_files.heif import Beside, beside, has_gain_map, has_opacity, whole_of
from stream.pictures.pixels import bgr_from_picture
from stream.sources.images import ImagesSource
from tests.heif import tiled


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """Smooth colours, none of them twice, that no tile's edge fits."""
    small = np.random.default_rng(4).integers(0, 256, (12, 16, 3), np.uint8)
    return cv2.resize(small, (200, 150), interpolation=cv2.INTER_LINEAR)


@pytest.fixture(scope="module")
def file(tmp_path_factory, picture) -> bytes:
    return tiled(tmp_path_factory.mktemp("heic") / "in.heic", picture, (64, 64)).read_bytes()


def read(path) -> np.ndarray:
    with ImagesSource(path) as source:
        (frame,) = source
        assert source.remarks == [] and source.corrupt == 0
    return bgr_from_picture(frame.image)[..., ::-1]


@pytest.mark.parametrize(
    ("said", "upright"),
    [
        ({}, lambda given: given),
        ({"turned": 1}, lambda given: np.rot90(given, 1)),
        ({"turned": 3, "mirrored": 0}, lambda given: np.rot90(given, 3)[::-1]),
        ({"turned": 2, "mirrored": 1}, lambda given: np.rot90(given, 2)[:, ::-1]),
        ({"thumbnail": True}, lambda given: given),
        ({"cut": (180, 100)}, lambda given: given[25:125, 10:190]),
    ],
)
def test_tiles_are_joined_and_turned_upright(tmp_path, picture, said, upright):
    came = read(tiled(tmp_path / "in.HEIC", picture, (64, 64), **said))
    wanted = upright(picture)
    assert came.shape == wanted.shape
    # Colours are stored at half size, which costs some; a tile elsewhere would cost 60.
    assert np.abs(came.astype(int) - wanted).mean() < 5


def test_one_tile_is_a_picture_too(tmp_path, picture):
    came = read(tiled(tmp_path / "in.heic", picture, (256, 192)))
    assert np.abs(came.astype(int) - picture).mean() < 5


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"leave_out": 2}, "it says 3 x 4 tiles and has 10"),
    ],
)
def test_what_cannot_be_put_together_is_said(tmp_path, picture, said, words):
    path = tiled(tmp_path / "in.heic", picture, (64, 64), **said)
    with pytest.raises(SourceError, match=rf"in\.heic cannot be read: .*{words}"):
        ImagesSource(path)


@pytest.mark.parametrize("wide", [False, True])
def test_numbers_of_either_width_are_read(tmp_path, picture, wide):
    path = tiled(tmp_path / "in.heic", picture, (64, 64), thumbnail=True, wide=wide)
    whole = whole_of(path.read_bytes())
    assert whole is not None and whole.tiled
    assert (whole.items, whole.columns, whole.size) == (tuple(range(2, 14)), 4, (200, 150))


@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_one_is_read_or_refused(tmp_path_factory, file, data):
    damaged = bytearray(file)
    for _ in range(data.draw(st.integers(1, 4))):
        # Most of what matters lies in front.
        place = data.draw(st.integers(0, data.draw(st.sampled_from([900, len(file) - 1]))))
        damaged[place] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.sampled_from([len(file), len(file) // 2, 500]))]
    path = tmp_path_factory.mktemp("damaged") / "in.heic"
    path.write_bytes(damaged)
    try:
        read(path)
    except SourceError as error:
        assert "in.heic" in str(error)


def boxed(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


@pytest.mark.parametrize(
    "urn", [b"urn:com:apple:photo:2020:aux:hdrgainmap", b"urn:mpeg:hevc:2015:auxid:1", b"urn:else"]
)
def test_what_other_pictures_are_for_is_known(urn):
    properties = boxed(b"ipco", boxed(b"auxC", bytes(4) + urn + b"\0"))
    meta = boxed(b"meta", bytes(4) + boxed(b"iprp", properties))
    data = boxed(b"ftyp", b"heic" + bytes(4)) + meta
    assert has_gain_map(data) == (b"apple" in urn)
    assert has_opacity(data) == (b"auxid" in urn)
    assert beside(data) == Beside()
