"""Grey pictures keep their contrast, and no tag of a picture stops an encoder."""

from __future__ import annotations

import av
import numpy as np
import pytest

from stream.frame import Frame
from stream.sources.file import FileSource
from tests import photos
from tests.sinks.running import run


def grey_film(path, codec, pixel_format):
    values = np.tile(np.linspace(0, 255, 128).astype(np.uint8), (96, 1))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, width=128, height=96, pix_fmt=pixel_format)
        picture = av.VideoFrame.from_ndarray(values, format="gray")
        for _ in range(12):
            container.mux(stream.encode(picture.reformat(format=pixel_format)))
        container.mux(stream.encode(None))
    return values


def shown(path):
    with FileSource(path) as source:
        return [item.rgb() for item in source if isinstance(item, Frame)]


@pytest.mark.parametrize("ending", [".mp4", ".webm", ".avi", ".ts"])
@pytest.mark.parametrize(
    ("codec", "pixel_format", "container"),
    [
        ("rawvideo", "gray", ".avi"),
        ("png", "gray", ".mov"),
        ("png", "monob", ".mov"),
        ("ffv1", "gray", ".mkv"),
        ("ffv1", "gray10le", ".mkv"),
        ("ffv1", "gray16le", ".mkv"),
        ("tiff", "gray", ".mov"),
    ],
)
def test_grey_is_as_bright_as_it_was(tmp_path, codec, pixel_format, container, ending):
    original = tmp_path / f"in{container}"
    values = grey_film(original, codec, pixel_format)
    if pixel_format == "monob":
        values = np.where(values > 127, 255, 0)
    for one in shown(original):
        assert np.abs(one.mean(axis=-1) - values).mean() < (60 if pixel_format == "monob" else 2)
    run(original, tmp_path / f"out{ending}")
    before, after = shown(original)[1], shown(tmp_path / f"out{ending}")[1]
    assert np.abs(before.astype(int) - after).mean() < 4


def test_samples_of_yuv_are_not_said_to_be_rgb(tmp_path):
    path = tmp_path / "in.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25, width=64, height=48, pix_fmt="yuv420p")
        stream.codec_context.colorspace = 0
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(stream.encode(None))
    for ending in (".webm", ".mp4"):
        run(path, tmp_path / f"out{ending}")
        assert len(shown(tmp_path / f"out{ending}")) == 3


def tagged(path, matrix):
    """A film of which x264 says that its colours are stored that way."""
    with av.open(str(path), "w") as container:
        told = {"x264-params": f"colormatrix={matrix}"}
        stream = container.add_stream("libx264", rate=25, options=told)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        picture = av.VideoFrame.from_ndarray(photos.coffee()[:96, :128].copy(), format="rgb24")
        for _ in range(6):
            container.mux(stream.encode(picture.reformat(format="yuv420p")))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("ending", [".mp4", ".webm", ".mkv"])
@pytest.mark.parametrize(
    ("matrix", "number", "name"),
    [("YCgCo", 8, "YCgCo"), ("bt2020c", 10, "constant luminance"), ("ictcp", 14, "ICtCp")],
)
def test_colours_that_are_not_known_stop_nothing_and_are_kept(
    tmp_path, matrix, number, name, ending
):
    original, written = tmp_path / "in.mp4", tmp_path / f"out{ending}"
    tagged(original, matrix)
    with FileSource(original) as source:
        assert {item.rgb().shape for item in source if isinstance(item, Frame)} == {(96, 128, 3)}
        assert source.info.colour.matrix == number
        assert [said for said in source.remarks if "not known here" in said and name in said]
    run(original, written)
    if ending in (".mp4", ".mkv"):
        with av.open(str(written)) as container:
            assert next(container.decode(video=0)).colorspace == number
