"""What a photo has beyond one picture of 8 bits is said, since it is not kept."""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stream.sources._photo_facts import (
    ALPHA,
    ANIMATION,
    DEEP,
    GAIN,
    MOTION,
    PAGES,
    SENTENCES,
    beyond,
)
from stream.sources.images import ImagesSource


def pictures(count: int, mode: str = "RGB") -> list[Image.Image]:
    made = []
    for index in range(count):
        values = np.full((24, 32, 4), 40 * index + 20, np.uint8)
        values[..., 3] = 255
        values[:8, :, 3] = 0
        made.append(Image.fromarray(values, "RGBA").convert(mode))
    return made


def stored(ending: str, count: int = 1, mode: str = "RGB", **options) -> bytes:
    first, *rest = pictures(count, mode)
    data = io.BytesIO()
    several = {"save_all": True, "append_images": rest} if rest else {}
    first.save(data, ending, **several, **options)
    return data.getvalue()


def deep(ending: str) -> bytes:
    return cv2.imencode(f".{ending}", np.full((24, 32, 3), 40_000, np.uint16))[1].tobytes()


def phone(*segments: tuple[int, bytes]) -> bytes:
    """A JPEG with segments as phones write them, behind JFIF's."""
    data = stored("jpeg")
    more = b"".join(struct.pack(">BBH", 0xFF, k, len(one) + 2) + one for k, one in segments)
    return data[:20] + more + data[20:]


XMP = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta "

CASES = {
    "motion photo": (phone((0xE1, XMP + b'GCamera:MotionPhoto="1"/>')), {MOTION}),
    "no motion": (phone((0xE1, XMP + b'GCamera:MotionPhoto="0"/>')), set()),
    "motion photo of old": (phone((0xE1, XMP + b"><M:MicroVideo>1</M:MicroVideo>")), {MOTION}),
    "gain map": (phone((0xE1, b"Exif\0\0"), (0xE1, XMP + b'hdrgm:Version="1.0"/>')), {GAIN}),
    "gain map of ISO": (phone((0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0")), {GAIN}),
    "png": (stored("png"), set()),
    "png grey": (stored("png", mode="L"), set()),
    "png 16 bit": (deep("png"), {DEEP}),
    "png transparent": (stored("png", mode="RGBA"), {ALPHA}),
    "png palette": (stored("png", mode="P", transparency=0), {ALPHA}),
    "png animation": (stored("png", 3), {ANIMATION}),
    "jpeg": (stored("jpeg"), set()),
    "bmp": (stored("bmp"), set()),
    "gif": (stored("gif"), set()),
    "gif animation": (stored("gif", 3), {ANIMATION}),
    "webp": (stored("webp"), set()),
    "webp transparent": (stored("webp", mode="RGBA", lossless=True), {ALPHA}),
    "webp animation": (stored("webp", 3), {ANIMATION}),
    "avif": (stored("avif"), set()),
    "avif transparent": (stored("avif", mode="RGBA"), {ALPHA}),
    "avif animation": (stored("avif", 3), {ANIMATION}),
    "tiff": (stored("tiff"), set()),
    "tiff pages": (stored("tiff", 3), {PAGES}),
    "tiff transparent": (stored("tiff", mode="RGBA"), {ALPHA}),
    "tiff 16 bit": (deep("tiff"), {DEEP}),
}
WORDS = {
    DEEP: "8 are kept",
    ALPHA: "transparency",
    ANIMATION: "animation",
    PAGES: "several pages",
    MOTION: "motion photo",
    GAIN: "gain map",
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_taken_is_known_and_said(tmp_path, name):
    data, what = CASES[name]
    found = beyond(data)
    assert what <= found
    if not what:
        assert not found
    path = tmp_path / f"a.{name.split()[0]}"
    path.write_bytes(data)
    with ImagesSource([path]) as source:
        (frame,) = source
        said = source.remarks
    if ALPHA in what:
        wanted = np.array(Image.open(path).convert("RGBA"))[..., 3]
        found = np.full_like(wanted, 255) if frame.alpha is None else frame.alpha
        assert np.array_equal(found, wanted)
    for kind in what - {ALPHA}:
        assert any(WORDS[kind] in one and "a." in one for one in said), said
    assert len(said) >= len(what - {ALPHA}) and (what or not said)


def turned(mode):
    """A picture with a clear corner that its notes turn by a quarter, or mirror."""
    values = np.full((24, 32, 4), 200, np.uint8)
    values[:8, :8, :3] = 30
    values[:8, :8, 3] = 0
    data, notes = io.BytesIO(), Image.Exif()
    notes[274] = mode
    Image.fromarray(values, "RGBA").save(data, "png", exif=notes)
    return data.getvalue()


@pytest.mark.parametrize("mode", [1, 2, 3, 6])
def test_transparency_lies_where_the_picture_does(tmp_path, mode):
    (tmp_path / "a.png").write_bytes(turned(mode))
    with ImagesSource([tmp_path / "a.png"]) as source:
        (frame,) = source
        said = source.remarks
    dark = frame.rgb().max(axis=-1) < 100
    if frame.alpha is None:
        assert "transparency, which cannot be read" in said[0]
    else:
        assert np.array_equal(frame.alpha == 0, dark)
    assert (frame.alpha is not None) == (mode == 1)


def test_a_channel_that_is_opaque_everywhere_is_nothing_lost(tmp_path):
    Image.fromarray(np.full((8, 8, 4), 255, np.uint8), "RGBA").save(tmp_path / "screen.png")
    with ImagesSource([tmp_path / "screen.png"]) as source:
        list(source)
        assert source.remarks == []


def test_many_are_one_sentence(tmp_path):
    for index in range(5):
        (tmp_path / f"{index}.png").write_bytes(CASES["png 16 bit"][0])
    with ImagesSource([tmp_path]) as source:
        list(source)
        (said,) = source.remarks
    assert said == "0.png and 4 more: it has more than 8 bits a colour, of which 8 are kept"


@given(st.sampled_from(sorted(CASES)), st.integers(0, 400), st.binary(max_size=40))
def test_damaged_heads_are_no_error(name, cut, junk):
    data = CASES[name][0]
    for damaged in (data[:cut] + junk, data[: cut // 4] + junk + data[cut // 4 :]):
        assert beyond(damaged) <= SENTENCES.keys()
