"""Animated PNG, WebP and GIF: pixels, transparency and times come out as they went in."""

import errno
import os
import struct
from fractions import Fraction

import cv2
import numpy as np
import pytest
from PIL import Image

from stream import sinks
from stream.errors import SinkError, UsageError
from stream.frame import Frame
from stream.pictures.colour_tags import ColourTags
from stream.pictures.pixels import picture_from_bgr
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


def seen_in(ending, opacity):
    """The opacity that a format holds of one."""
    return np.where(opacity < 128, 0, 255).astype(np.uint8) if ending == ".gif" else opacity


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


def written(path, pictures, *, tick=Fraction(1, 25), **described):
    """Pictures, uint8 [H, W, 3], one after another as an animation."""
    height, width = pictures[0].shape[:2]
    told = info(width=width, height=height, pixel_format="yuv444p", **described)
    with AnimationSink(path, told, overwrite=True) as sink:
        for index, one in enumerate(pictures):
            sink.write(Frame(picture_from_bgr(one), index, index, tick, 1))
    return sink


def test_a_gif_has_hard_edges_and_says_so(tmp_path):
    sink = write(tmp_path / "out.gif", empty=(3,))
    found = read(tmp_path / "out.gif")
    assert [shown for _, shown in found] == (np.diff([*TIMES, 18]) * 40).tolist()
    for index, (shown, _) in enumerate(found):
        opacity = np.zeros_like(shown[..., 3]) if index == 3 else seen_in(".gif", matte(index))
        assert np.array_equal(shown[..., 3], opacity)
        seen = opacity > 0
        error = shown[seen][:, :3].astype(int) - pixels(index)[seen][:, ::-1]
        assert index == 3 or np.abs(error).mean() < 12
    assert any("edges are hard" in said for said in sink.remarks)


def test_a_gif_takes_other_colours_where_the_picture_is_another(tmp_path):
    """And what does not change takes no room, behind that as before."""
    across, down = np.meshgrid(np.arange(160), np.arange(120))
    warm = np.dstack([0 * down, across, 128 + down]).astype(np.uint8)
    cold = np.dstack([128 + down, 255 - across, 0 * down]).astype(np.uint8)
    small = written(tmp_path / "short.gif", [warm, cold]).path.stat().st_size
    film = [warm, warm, cold, cold, cold, cold]
    sink = written(tmp_path / "out.gif", film)
    found = read(tmp_path / "out.gif")
    # Pictures that are the same may be one that is shown for longer.
    shown = [one for one, length in found for _ in range(round(length / 40))]
    assert len(shown) == len(film)
    for one, made in zip(shown, film, strict=True):
        assert np.abs(one[..., :3].astype(int) - made[..., ::-1]).mean() < 6
    assert sink.path.stat().st_size < small + 4 * 1200
    assert any("256 colours" in said for said in sink.remarks)


def test_a_drawing_s_colours_are_kept_in_a_gif(tmp_path):
    """Patterns of its other colours were laid over each, as if colours were missing."""
    colours = np.random.default_rng(0).integers(0, 256, (100, 3), np.uint8)
    film = [np.repeat(colours[None], 20, 0), np.repeat(colours[None, ::-1], 20, 0)]
    written(tmp_path / "out.gif", film)
    for (shown, _), made in zip(read(tmp_path / "out.gif"), film, strict=True):
        assert np.abs(shown[..., :3].astype(int) - made[..., ::-1]).max() <= 2


def test_hdr_is_said_to_look_pale_unless_it_has_no_colours(tmp_path):
    hdr = ColourTags(9, 16, 9, full_range=False)
    for told in ({}, {"exact": True}, {"grey": True}):
        sink = written(tmp_path / "out.webp", [np.zeros((48, 64, 3), np.uint8)], colour=hdr, **told)
        assert any("HDR (PQ)" in said for said in sink.remarks) == (not told)


def test_a_gif_keeps_colours_that_mean_something(tmp_path):
    film = [np.zeros((48, 64, 3), np.uint8) for _ in range(4)]
    film[1][:20, :30] = 255
    film[2][5:9, 5:9] = (3, 2, 1)
    film[3][5:9, 5:9] = (1, 2, 3)
    sink = written(tmp_path / "out.gif", film, exact=True)
    for (shown, _), made in zip(read(tmp_path / "out.gif"), film, strict=True):
        assert np.array_equal(shown[..., :3], made[..., ::-1])
    assert not any("colours" in said for said in sink.remarks)


@pytest.mark.parametrize("rate", [24, 30, 50, 60, 240])
def test_a_gif_keeps_time_at_any_rate(tmp_path, rate):
    """Browsers show a picture of one hundredth of a second for ten of them."""
    film = [cv2.resize(pixels(index), (24, 16)) for index in range(rate)]
    sink = written(tmp_path / "out.gif", film, tick=Fraction(1, rate))
    lengths = [length for _, length in read(tmp_path / "out.gif")]
    assert sum(lengths) == pytest.approx(1000, abs=20)
    assert min(lengths) >= 20
    shown = read(tmp_path / "out.gif")[-1][0][..., :3].astype(int)
    assert (
        np.abs(shown - film[-1][..., ::-1]).mean() < 20 < np.abs(shown - film[-2][..., ::-1]).mean()
    )
    out = [said for said in sink.remarks if "left out, as a .gif shows at most 50" in said]
    assert bool(out) == (rate > 50) == (len(lengths) < rate)


def test_times_do_not_drift(tmp_path):
    # 30000/1001 pictures a second: 33.37 ms each.
    write(tmp_path / "out.webp", times=range(90), tick=Fraction(1001, 30000))
    assert sum(duration for _, duration in read(tmp_path / "out.webp")) == 3003
    write(tmp_path / "out.apng", times=range(90), tick=Fraction(1001, 30000))
    parts = (tmp_path / "out.apng").read_bytes().split(b"fcTL")[1:]
    delays = [Fraction(*struct.unpack_from(">HH", part, 20)) for part in parts]
    assert delays == [Fraction(1001, 30000)] * 90


@pytest.mark.parametrize("ending", [".apng", ".webp", ".gif"])
def test_after_every_picture_the_file_is_whole(tmp_path, monkeypatch, ending):
    """But for those that are encoded, one on each core, and the last, whose end nobody knows."""
    monkeypatch.setattr("stream.sinks._side_by_side.available_cores", lambda: 1)
    path = tmp_path / f"out{ending}"
    sink = AnimationSink(path, info(width=96, height=64, pixel_format="yuv444p10le", alpha=True))
    for index in range(5):
        picture = picture_from_bgr(pixels(index))
        sink.write(Frame(picture, index, index, Fraction(1, 25), 1, alpha=matte(index)))
        if index > 1:
            shown = read(path)
            assert len(shown) in (index - 1, index)
            for at, (one, _) in enumerate(shown):
                assert np.array_equal(one[..., 3], seen_in(ending, matte(at)))
    sink.abort()
    assert len(read(path)) in (3, 4)


@pytest.mark.parametrize("ending", [".apng", ".webp", ".gif"])
def test_a_full_disk_says_how_many_pictures_are_there(tmp_path, monkeypatch, ending):
    path = tmp_path / f"out{ending}"
    described = info(width=96, height=64, pixel_format="yuv444p")
    sink = AnimationSink(path, described)
    whole = path.stat().st_size
    write, room = os.write, 60_000

    def limited(file, data):
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = write(file, data[:room])
        room -= done
        return done

    monkeypatch.setattr("os.write", limited)
    with pytest.raises(SinkError, match=r"the disk is full, .* pictures are saved in") as told:
        for index in range(200):
            picture = picture_from_bgr(pixels(index))
            sink.write(Frame(picture, index, index, Fraction(1, 25), 1))
    monkeypatch.undo()
    sink.abort()
    assert path.stat().st_size > whole
    assert told.value.frames == len(read(path)) > 0
    # Players that look for the end find it.
    assert path.read_bytes().endswith({".apng": b"IEND\xaeB`\x82", ".gif": b";"}.get(ending, b""))


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
        ("out.apng", {"crf": 20.0}, "keeps every pixel and has no --crf; .webp has"),
        ("out.gif", {"crf": 20.0}, "has 256 colours and has no --crf"),
    ],
)
def test_what_only_videos_can_be_asked_is_refused(target, options, words):
    with pytest.raises(UsageError, match=words):
        AnimationSink.check(target, OutputOptions(**options))


def test_what_webp_is_too_small_for_is_refused(tmp_path):
    with pytest.raises(SinkError, match="at most 16383 pixels a side"):
        AnimationSink(tmp_path / "out.webp", info(width=17000, height=20))
    assert not list(tmp_path.iterdir())
