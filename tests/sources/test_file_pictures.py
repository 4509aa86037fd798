"""Every picture comes upright, in planar YUV, with its colours."""

from __future__ import annotations

import gc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream.frame import Frame
from stream.sources.file import FileSource
from tests import media
from tests.media import make_clip
from tests.sources.reading import frames_of, probe


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le", "yuv444p"])
def test_every_orientation_is_turned_upright(tmp_path, rotation, mirrored, pixel_format):
    path = make_clip(
        tmp_path / "in.mp4",
        rotation=rotation,
        mirrored=mirrored,
        size=(64, 32),
        frames=2,
        pixel_format=pixel_format,
    )
    stored = media.decode(path).pictures[0]
    with FileSource(path) as source:
        frame = next(item for item in source if isinstance(item, Frame))
        info = source.info
    expected = []
    for plane in stored:
        # FFmpeg turns counterclockwise, then mirrors what is shown left to right.
        turned = np.rot90(plane, rotation // 90)
        expected.append(turned[:, ::-1] if mirrored else turned)
    assert media.same_picture(media.planes(frame.image), expected)
    size = (32, 64) if rotation % 180 else (64, 32)
    assert (info.width, info.height) == size
    assert (frame.image.width, frame.image.height) == size


def test_turning_sideways_turns_the_sample_aspect_too(tmp_path):
    path = make_clip(tmp_path / "in.mp4", rotation=90, aspect=Fraction(4, 3))
    info = probe(path)
    assert info.sample_aspect_ratio == Fraction(3, 4)
    assert info.rotation == 270
    assert info.copied == ()


def test_4_2_2_sideways_becomes_4_4_4_and_says_so(tmp_path):
    path = make_clip(tmp_path / "in.mp4", rotation=90, pixel_format="yuv422p", frames=2)
    with FileSource(path) as source:
        frame = next(item for item in source if isinstance(item, Frame))
        assert source.info.pixel_format == frame.image.format.name == "yuv444p"
        assert source.remarks == [
            "turning the pictures upright changes their pixel format from yuv422p to yuv444p"
        ]
    stored = media.decode(path).pictures[0][0]
    assert np.array_equal(media.planes(frame.image)[0], np.rot90(stored))


@pytest.mark.parametrize(
    ("codec", "given", "expected", "remarks"),
    [
        ("rawvideo", "nv12", "yuv420p", 0),
        ("rawvideo", "yuyv422", "yuv422p", 0),
        ("rawvideo", "uyvy422", "yuv422p", 0),
        ("rawvideo", "bgr24", "yuv444p", 1),
        ("ffv1", "bgra", "yuv444p", 1),
        ("ffv1", "gbrp10le", "yuv444p10le", 1),
        ("ffv1", "yuva420p", "yuv420p", 0),
        ("ffv1", "yuva444p10le", "yuv444p10le", 0),
        ("ffv1", "gray10le", "gray10le", 0),
        ("ffv1", "yuv420p16le", "yuv420p16le", 0),
        ("png", "pal8", "yuv444p", 1),
        ("png", "gray16be", "gray16le", 0),
    ],
)
def test_every_pixel_format_comes_as_planar_yuv(tmp_path, codec, given, expected, remarks):
    ending = ".mkv" if codec == "ffv1" or given == "nv12" else ".mov"
    ending = ".avi" if given == "bgr24" else ending
    path = tmp_path / f"in{ending}"
    if given == "pal8":
        palette_clip(path)
    else:
        make_clip(path, codec=codec, pixel_format=given, frames=2, options={})
    with FileSource(path) as source:
        frame = next(item for item in source if isinstance(item, Frame))
        assert source.info.pixel_format == frame.image.format.name == expected
        assert len(source.remarks) == remarks
    # The bright corner is where it was.
    luma = media.planes(frame.image)[0].astype(int)
    assert luma.shape == (48, 64)


def palette_clip(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        video = container.add_stream("png", rate=25, width=64, height=48, pix_fmt="pal8")
        pixels = np.indices((48, 64)).sum(0).astype(np.uint8) % 16
        palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, 1)
        palette[:, 3] = 255
        frame = av.VideoFrame.from_ndarray((pixels, palette), format="pal8")
        container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def test_untouched_pictures_are_not_copied(tmp_path, monkeypatch):
    path = make_clip(tmp_path / "in.mp4", frames=3)
    made = []
    given = av.VideoFrame
    monkeypatch.setattr(av, "VideoFrame", lambda *size: made.append(size) or given(*size))
    frames_of(path)
    assert made == []


def test_colours_come_as_tagged(tmp_path):
    path = make_clip(tmp_path / "in.mp4", colour=(9, 16, 9, 1), pixel_format="yuv420p10le")
    colour = probe(path).colour
    assert (colour.primaries, colour.transfer, colour.matrix) == (9, 16, 9)
    assert colour.full_range is False


def test_full_range_is_told(tmp_path):
    path = make_clip(tmp_path / "in.mp4", pixel_format="yuvj420p")
    assert probe(path).colour.full_range is True


def test_rgb_becomes_the_colour_it_was(tmp_path):
    path = make_clip(tmp_path / "in.mkv", codec="ffv1", pixel_format="bgra", options={})
    with FileSource(path) as source:
        frame = next(item for item in source if isinstance(item, Frame))
        colour = source.info.colour
    red = frame.image.to_ndarray(format="rgb24")[2, 2].astype(int)
    assert np.abs(red - (255, 40, 40)).max() <= 3
    assert (colour.matrix, colour.full_range) == (6, False)


def test_interlaced_pictures_are_remarked(tmp_path):
    path = make_clip(
        tmp_path / "in.ts",
        codec="mpeg2video",
        size=(64, 64),
        options={"flags": "+ildct+ilme", "top": "1"},
    )
    with FileSource(path) as source:
        assert "the pictures are interlaced and are taken as if they were progressive" in (
            source.remarks
        )


@pytest.mark.parametrize("rotation", [0, 90])
def test_pictures_are_let_go_without_waiting_for_the_collector(tmp_path, rotation):
    """A ring of references keeps a picture's memory: of 1080p three megabytes each."""
    clip = make_clip(tmp_path / "in.mp4", rotation=rotation, frames=40)
    gc.collect()
    gc.freeze()  # what is there already is not looked through for each picture
    gc.disable()
    try:
        with FileSource(clip) as source:
            alive = [
                sum(isinstance(one, av.VideoFrame) for one in gc.get_objects())
                for item in source
                if isinstance(item, Frame)
            ]
    finally:
        gc.enable()  # what is frozen stays so: each test after it would be slower
    assert len(alive) > 20
    assert max(alive[5:]) <= max(alive[:5]) + 1
