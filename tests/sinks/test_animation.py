"""Animated PNG and WebP: pixels, transparency and times come out as they went in."""

import struct
from fractions import Fraction

import cv2
import numpy as np
import pytest
from PIL import Image

from stream import sinks
from stream.errors import SinkError, UsageError
from stream.frame import Frame
from stream.pixels import picture_from_bgr
from stream.settings.options import OutputOptions
from stream.sinks.animation import AnimationSink
from stream.sinks.images import ImageSink
from tests.sinks.running import info
from tests.sinks.test_alpha import matte

SIZE = (96, 64)
TIMES = [0, 3, 4, 9, 10, 17]


def pixels(index):
    rng = np.random.default_rng(index)
    small = rng.integers(0, 256, (8, 12, 3), np.uint8)
    return cv2.resize(small, SIZE, interpolation=cv2.INTER_CUBIC)


def write(path, *, alpha=True, times=TIMES, tick=Fraction(1, 25), empty=(), **options):
    described = info(width=96, height=64, pixel_format="yuv444p10le", alpha=alpha)
    with AnimationSink(path, described, **options) as sink:
        for index, pts in enumerate(times):
            mask = np.zeros(SIZE[::-1], np.uint8) if index in empty else matte(index)
            picture = picture_from_bgr(pixels(index))
            given = mask if alpha else None
            sink.write(Frame(picture, index, pts, tick, 1, alpha=given))
    return sink


def read(path):
    """Frames as RGBA and how long each is shown, by Pillow."""
    with Image.open(path) as picture:
        found = []
        for index in range(picture.n_frames):
            picture.seek(index)
            shown = np.array(picture.convert("RGBA"))
            found.append((shown, picture.info["duration"]))
        return found


@pytest.mark.parametrize("ending", [".apng", ".webp"])
def test_each_picture_has_its_pixels_and_its_time(tmp_path, ending):
    crf = {"crf": 0.0} if ending == ".webp" else {}
    write(tmp_path / f"out{ending}", empty=(3,), **crf)
    found = read(tmp_path / f"out{ending}")
    lengths = np.diff([*TIMES, TIMES[-1] + 1]) * 40
    assert [duration for _, duration in found] == pytest.approx(lengths.tolist())
    for index, (shown, _) in enumerate(found):
        alpha = np.zeros_like(shown[..., 3]) if index == 3 else matte(index)
        assert np.array_equal(shown[..., 3], alpha)
        seen = alpha > 0
        assert np.array_equal(shown[seen][:, :3], pixels(index)[seen][:, ::-1])


def test_webp_is_small_and_keeps_opacity_exactly_where_nothing_else_is_asked(tmp_path):
    write(tmp_path / "out.webp")
    write(tmp_path / "exact.webp", crf=0)
    assert (tmp_path / "out.webp").stat().st_size < (tmp_path / "exact.webp").stat().st_size
    for index, (shown, _) in enumerate(read(tmp_path / "out.webp")):
        assert np.array_equal(shown[..., 3], matte(index))
        seen = matte(index) == 255
        error = shown[seen][:, :3].astype(int) - pixels(index)[seen][:, ::-1]
        assert np.abs(error).mean() < 6


@pytest.mark.parametrize("ending", [".apng", ".webp"])
def test_without_transparency_pictures_are_whole(tmp_path, ending):
    write(tmp_path / f"out{ending}", alpha=False)
    found = read(tmp_path / f"out{ending}")
    assert len(found) == len(TIMES)
    for index, (shown, _) in enumerate(found):
        assert (shown[..., 3] == 255).all()
        error = np.abs(shown[..., :3].astype(int) - pixels(index)[..., ::-1])
        assert error.max() == 0 if ending == ".apng" else error.mean() < 6


def test_times_do_not_drift(tmp_path):
    # 30000/1001 pictures a second: 33.37 ms each.
    write(tmp_path / "out.webp", times=range(90), tick=Fraction(1001, 30000))
    assert sum(duration for _, duration in read(tmp_path / "out.webp")) == 3003
    write(tmp_path / "out.apng", times=range(90), tick=Fraction(1001, 30000))
    parts = (tmp_path / "out.apng").read_bytes().split(b"fcTL")[1:]
    delays = [Fraction(*struct.unpack_from(">HH", part, 20)) for part in parts]
    assert delays == [Fraction(1001, 30000)] * 90


@pytest.mark.parametrize("ending", [".apng", ".webp"])
def test_after_every_picture_the_file_is_whole(tmp_path, ending):
    path = tmp_path / f"out{ending}"
    sink = AnimationSink(path, info(width=96, height=64, pixel_format="yuv444p10le", alpha=True))
    for index in range(4):
        picture = picture_from_bgr(pixels(index))
        sink.write(Frame(picture, index, index, Fraction(1, 25), 1, alpha=matte(index)))
        if index:
            shown = read(path)
            assert len(shown) == index
            assert np.array_equal(shown[-1][0][..., 3], matte(index - 1))
    sink.abort()
    assert len(read(path)) == 3


def test_an_animation_of_nothing_leaves_no_file(tmp_path):
    AnimationSink(tmp_path / "out.webp", info(width=96, height=64)).close()
    assert not (tmp_path / "out.webp").exists()


def test_footage_becomes_an_animation_and_photos_pictures():
    assert sinks.find("out.webp") is AnimationSink
    assert sinks.find("out.webp", photos=True) is ImageSink
    assert sinks.find("out/%04d.webp") is ImageSink
    for name in ("100% fun.apng", "50% off/a.webp"):
        assert sinks.find(name) is AnimationSink, name
    with pytest.raises(
        UsageError, match=r"out\.apng is an animated picture, which is made of footage"
    ):
        sinks.find("out.apng", photos=True)


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        ("out.apng", {"codec": "libx264"}, "has no --codec"),
        ("out.webp", {"preset": "fast"}, "has no --preset"),
        ("out.apng", {"crf": 20.0}, "keeps every pixel and has no --crf"),
    ],
)
def test_what_only_videos_can_be_asked_is_refused(target, options, words):
    with pytest.raises(UsageError, match=words):
        AnimationSink.check(target, OutputOptions(**options))


def test_what_webp_is_too_small_for_is_refused(tmp_path):
    with pytest.raises(SinkError, match="at most 16383 pixels a side"):
        AnimationSink(tmp_path / "out.webp", info(width=17000, height=20))
    assert not list(tmp_path.iterdir())
