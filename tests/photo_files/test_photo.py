"""Pictures that OpenCV does not read are read by FFmpeg, in the colours that they say."""

import io

import av
import numpy as np
import pytest

from stream.photo_files.photo import decoded
from tests import photos


def stored(matrix: str) -> np.ndarray:
    """A file of one picture whose colours are said to be stored that way."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        told = {"x264-params": f"colormatrix={matrix}"}
        stream = container.add_stream("libx264", rate=25, options=told)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        picture = av.VideoFrame.from_ndarray(photos.coffee()[:96, :128].copy(), format="rgb24")
        container.mux(stream.encode(picture.reformat(format="yuv420p", dst_colorspace="ITU709")))
        container.mux(stream.encode(None))
    return np.frombuffer(file.getvalue(), np.uint8)


def test_near_colours_are_taken() -> None:
    constant, usual = (decoded(stored(matrix)).astype(int) for matrix in ("bt2020c", "bt2020nc"))
    assert (constant == usual).all()


@pytest.mark.parametrize(("matrix", "number"), [("YCgCo", 8), ("ictcp", 14)])
def test_colours_that_nothing_comes_near_are_refused(matrix: str, number: int) -> None:
    with pytest.raises(ValueError, match=f"matrix \\({number}, H.273\\) not known"):
        decoded(stored(matrix))
