"""What a photo has beyond one picture of 8 bits is said, since it is not kept."""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features

from stream.photo_files.heif import to_be_seen
from stream.photo_files.photo_facts import (
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
    if ending == "jp2":  # OpenCV writes none as small as this
        data = io.BytesIO()
        Image.fromarray(np.full((24, 32), 40_000, np.uint16)).save(data, "jpeg2000")
        return data.getvalue()
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
    "jp2": (stored("jpeg2000"), set()),
    "jp2 transparent": (stored("jpeg2000", mode="RGBA"), {ALPHA}),
    "jp2 16 bit": (deep("jp2"), {DEEP}),
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


UPRIGHT = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}
"""What each of Exif's orientations does with a stored picture."""


@pytest.mark.parametrize("ending", ["png", "webp", "tiff", "avif"])
def test_a_picture_that_is_turned_keeps_its_transparency(tmp_path, ending):
    """Of one colour all over, where nothing but the notes says how it lies, too."""
    if not features.check("avif") and ending == "avif":
        pytest.skip("Pillow writes no AVIF here")
    values = np.full((24, 32, 4), 200, np.uint8)
    values[:8, :8, 3] = 0
    path = tmp_path / f"a.{ending}"
    for colour in (200, 30):
        values[:8, :8, :3] = colour
        for orientation, upright in UPRIGHT.items():
            notes = Image.Exif()
            notes[274] = orientation
            how = {"tiffinfo": notes} if ending == "tiff" else {"exif": notes.tobytes()}
            options = {"lossless": True, "exact": True} if ending == "webp" else {}
            Image.fromarray(values, "RGBA").save(path, ending, **how, **options)
            with ImagesSource([path]) as source:
                (frame,) = source
                said = source.remarks
            assert frame.alpha is not None and said == [], (orientation, said)
            assert np.array_equal(frame.alpha, upright(values[..., 3])), orientation
            seen = frame.rgb().astype(int) - upright(values)[..., :3]
            assert np.abs(seen[frame.alpha > 0]).mean() < 5, orientation


@pytest.mark.parametrize(("where", "cut"), [((0, 0), (8, 6)), ((-4, 3), (16, 12))])
def test_an_avif_is_cut_and_turned_as_it_says_and_not_as_its_notes_do(where, cut):
    stored = np.arange(24 * 32, dtype=np.int32).reshape(24, 32)
    aperture = struct.pack(">IIIIiIiI", cut[0], 1, cut[1], 1, where[0], 1, where[1], 1)
    kinds = [boxed(b"clap", aperture), boxed(b"irot", b"\1"), boxed(b"imir", b"\1")]
    of_main = struct.pack(">4xIHB3B", 1, 1, 3, 1, 2, 3)
    iprp = boxed(b"iprp", boxed(b"ipco", b"".join(kinds)) + boxed(b"ipma", of_main))
    pitm = boxed(b"pitm", struct.pack(">4xH", 1))
    data = boxed(b"ftyp", b"avif0000") + boxed(b"meta", bytes(4) + pitm + iprp)
    top, left = 12 - cut[1] // 2 + where[1], 16 - cut[0] // 2 + where[0]
    kept = stored[top : top + cut[1], left : left + cut[0]]
    assert np.array_equal(to_be_seen(data, stored), np.rot90(kept)[:, ::-1])
    assert np.array_equal(to_be_seen(data[:-4], stored), stored)  # cut short


def boxed(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


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
