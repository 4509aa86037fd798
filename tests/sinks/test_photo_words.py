"""A photo's size on paper is kept, and words that are not are named."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.frame import Frame, VideoInfo
from stream.options import OutputOptions
from stream.pixels import picture_from_bgr
from stream.sinks._photo_words import Beside, beside, with_density
from stream.sinks.images import ImageSink

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
XMP = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>"
IPTC = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x04word"


def jpeg(unit: int = 0, across: int = 1, down: int = 1, *further: tuple[int, bytes]) -> bytes:
    data = bytes(cv2.imencode(".jpg", PIXELS)[1])
    assert data[6:11] == b"JFIF\0"
    more = b"".join(
        struct.pack(">BBH", 0xFF, kind, len(content) + 2) + content for kind, content in further
    )
    return data[:13] + struct.pack(">BHH", unit, across, down) + data[18:20] + more + data[20:]


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    data = bytes(cv2.imencode(".png", PIXELS)[1])
    more = b"".join(
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )
    return data[:33] + more + data[33:]


def painted(tmp_path: Path, name: str, data: bytes, target: str) -> tuple[bytes, list[str]]:
    """What becomes of a photo, and what is said."""
    (tmp_path / name).write_bytes(data)
    info = VideoInfo("in", 30, 20, "bgr24", Fraction(1), pictures=(tmp_path / name,))
    with ImageSink.from_target(str(tmp_path / target), info, OutputOptions()) as sink:
        sink.write(Frame(picture_from_bgr(PIXELS), 0, 0, Fraction(1)))
    return (tmp_path / target).read_bytes(), sink.remarks


@pytest.mark.parametrize("target", ["out.jpg", "out.png"])
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("inch.jpg", jpeg(1, 300, 300)),
        ("centimetre.jpg", jpeg(2, 118, 118)),
        ("metre.png", png((b"pHYs", struct.pack(">IIB", 11811, 11811, 1)))),
    ],
)
def test_the_size_on_paper_is_kept(tmp_path, target, name, data):
    """A scan of 300 dots to the inch was printed four times as large."""
    after, said = painted(tmp_path, name, data, target)
    assert said == []
    asked, told = beside(data).density, beside(after).density
    assert asked is not None and told is not None
    assert float(told[0] / asked[0]) == pytest.approx(1, abs=1e-3)
    shown = cv2.imdecode(np.frombuffer(after, np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == PIXELS.shape


def test_it_is_turned_with_the_picture(tmp_path):
    lying = jpeg(1, 300, 150)
    turned = np.ascontiguousarray(np.rot90(PIXELS))
    (tmp_path / "in.jpg").write_bytes(lying)
    info = VideoInfo("in", 20, 30, "bgr24", Fraction(1), pictures=(tmp_path / "in.jpg",))
    with ImageSink.from_target(str(tmp_path / "out.jpg"), info, OutputOptions()) as sink:
        sink.write(Frame(picture_from_bgr(turned), 0, 0, Fraction(1)))
    across, down = beside((tmp_path / "out.jpg").read_bytes()).density or (0, 0)
    assert down == 2 * across


@pytest.mark.parametrize(
    "data",
    [
        jpeg(0, 1, 1, (0xE1, XMP)),
        jpeg(0, 1, 1, (0xED, IPTC)),
        jpeg(0, 1, 1, (0xFE, b"a comment")),
        png((b"tEXt", b"Title\0A day")),
        png((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta/>")),
    ],
)
def test_words_that_are_left_out_are_named(tmp_path, data):
    said = "in: the words in it (XMP, IPTC or comments, such as captions and keywords) are left out"
    assert painted(tmp_path, "in", data, "out.png")[1] == [said]


@pytest.mark.parametrize(
    "data",
    [
        jpeg(0, 1, 1, (0xED, b"Photoshop 3.0\x008BIM\x04\x0c")),
        jpeg(0, 1, 1, (0xFE, b"\0")),
        png((b"zTXt", b"Raw profile type exif\0\0x")),
        b"",
    ],
)
def test_what_is_no_words_is_not_spoken_of(data):
    assert not beside(data).words


@given(st.sampled_from([jpeg(1, 300, 300, (0xE1, XMP)), png((b"tEXt", b"Title\0A"))]), st.data())
def test_damaged_files_tell_what_they_can(whole, draw):
    cut = whole[: draw.draw(st.integers(0, len(whole)))]
    at = draw.draw(st.integers(0, 200))
    assert isinstance(beside(cut), Beside)
    assert isinstance(beside(whole[:at] + b"\xff" + whole[at + 1 :]), Beside)


def test_what_has_no_place_for_it_stays_as_it_is():
    assert with_density(b"BM", (Fraction(1000), Fraction(1000))) == b"BM"
