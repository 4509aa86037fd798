"""What changes within a film: brought to the first picture's way where it can be, else said."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange

from stream.frame import Frame
from stream.pictures.colour_tags import ColourTags
from stream.pictures.meaning import Meaning
from stream.pictures.pixels import plane_view
from stream.sources.file import FileSource

FILM, ALL = int(ColorRange.MPEG), int(ColorRange.JPEG)
_COUNT = 5


def part(
    *,
    range_: int = FILM,
    matrix: int = 1,
    luma: int = 126,
    red: int = 128,
    form: str = "yuv420p",
    transfer: int = 1,
    params: str = "",
) -> bytes:
    """A broadcast of one colour."""
    file = io.BytesIO()
    with av.open(file, "w", format="mpegts") as made:
        options = {"preset": "ultrafast", "qp": "1", "threads": "1", "x264-params": params}
        video = made.add_stream("libx264", rate=25, options=options)
        video.width, video.height, video.pix_fmt = 64, 64, form
        told = video.codec_context
        told.color_range, told.colorspace = range_, matrix
        told.color_primaries, told.color_trc = 1, transfer
        for index in range(_COUNT):
            picture = VideoFrame(64, 64, form)
            for plane, value in zip(picture.planes, (luma, 128, red), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            picture.color_range, picture.colorspace, picture.pts = range_, matrix, index
            made.mux(video.encode(picture))
        made.mux(video.encode(None))
    return file.getvalue()


def read(path: Path, *parts: bytes) -> tuple[list[list[int]], str]:
    """The colours of the pictures of joined broadcasts, and what is said."""
    path.write_bytes(b"".join(parts))
    with FileSource(path) as source:
        frames = [item for item in source if isinstance(item, Frame)]
    seen = [[int(np.median(plane_view(plane))) for plane in one.image.planes] for one in frames]
    return seen, " ".join(source.remarks)


@pytest.mark.parametrize(
    ("first", "later", "value"),
    [(FILM, ALL, 126), (ALL, FILM, 128)],
)
def test_another_range_later_looks_the_same(tmp_path, first, later, value):
    """128 of 255 and 126 of 16 to 235 are one grey."""
    luma = {FILM: 126, ALL: 128}
    parts = [part(range_=one, luma=luma[one]) for one in (first, later)]
    seen, said = read(tmp_path / "in.ts", *parts)
    assert len(seen) == 2 * _COUNT
    assert all(abs(one[0] - value) <= 1 for one in seen), seen
    assert f"{_COUNT} pictures store colours in another way" in said


def test_another_matrix_later_looks_the_same(tmp_path):
    """By BT.601 this red has 1.402 * 72 / 224 of 255 more than grey, by BT.709 with 1.5748."""
    seen, said = read(tmp_path / "in.ts", part(), part(matrix=6, red=200))
    luma, blue, red = seen[-1]
    shown = [luma + gain * (red - 128) * 219 / 224 for gain in (1.5748, -0.4681)]
    meant = [126 + gain * 72 * 219 / 224 for gain in (1.402, -0.7141)]
    shown[1] -= 0.1873 * (blue - 128) * 219 / 224
    assert np.allclose(shown, meant, atol=2.5), (shown, meant)
    assert f"{_COUNT} pictures store colours in another way" in said


@pytest.mark.parametrize(
    ("later", "sentence"),
    [
        ({"form": "yuv422p"}, "5 pictures of the pixel format yuv422p were converted"),
        ({"transfer": 16}, "5 pictures have other colour tags"),
    ],
)
def test_what_changes_later_is_said(tmp_path, later, sentence):
    assert sentence in read(tmp_path / "in.ts", part(), part(**later))[1]


def test_what_does_not_change_is_not_spoken_of(tmp_path):
    seen, said = read(tmp_path / "in.ts", part(), part())
    assert all(one == seen[0] for one in seen)
    assert "colour" not in said and "format" not in said and "interlaced" not in said


def test_a_decoder_that_keeps_the_name_of_another_range_is_seen_through():
    picture = VideoFrame(16, 16, "yuvj420p")
    for plane, value in zip(picture.planes, (16, 128, 128), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    picture.color_range = FILM
    made = Meaning("yuvj420p", ColourTags(full_range=True))(picture)
    assert made.format.name == "yuvj420p" and int(plane_view(made.planes[0]).max()) == 0


def test_light_levels_without_a_mastering_display_are_no_loss(tmp_path):
    assert "HDR10" not in read(tmp_path / "in.ts", part(params="cll=1000,400"))[1]
