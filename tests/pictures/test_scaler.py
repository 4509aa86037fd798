"""What swscale makes of a picture is the same each time, whatever its width."""

from __future__ import annotations

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from stream.pictures.scaler import Scaler


@pytest.mark.parametrize("width", [37, 40, 64, 100])
@pytest.mark.parametrize(
    ("stored", "wanted"),
    [("rgb48le", "yuv444p16le"), ("bgr24", "gray16le"), ("rgb24", "gray10le"), ("nv12", "rgba")],
)
def test_threads_do_not_write_into_each_others_rows(stored, wanted, width):
    given = av.VideoFrame(width, 72, stored)
    rng = np.random.default_rng(0)
    for plane in given.planes:
        plane.update(rng.integers(0, 256, plane.buffer_size, np.uint8).tobytes())
    alone = VideoReformatter().reformat(given, format=wanted, threads=1).to_ndarray()
    scale = Scaler()
    for _ in range(20):
        assert np.array_equal(scale(given, pixel_format=wanted).to_ndarray(), alone)


def test_a_picture_that_is_as_wanted_is_not_copied():
    given = av.VideoFrame(64, 48, "yuv420p")
    assert Scaler()(given, 64, 48, "yuv420p") is given
    small = Scaler()(given, 32, pixel_format="gray")
    assert (small.width, small.height, small.format.name) == (32, 48, "gray")
