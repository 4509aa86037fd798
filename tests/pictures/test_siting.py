from pathlib import Path

import av
import pytest

from stream.pictures.siting import CENTRED, Siting
from tests import photos

COFFEE = photos.coffee()


def decoded(path: Path, codec: str, location: str, **options: str) -> av.VideoFrame:
    told = {"chroma_sample_location": location, **options}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=told)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        frame = av.VideoFrame.from_ndarray(COFFEE[:240, :320].copy(), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


@pytest.mark.parametrize(
    ("location", "siting"),
    [("left", (0, 0.5)), ("center", CENTRED), ("topleft", (0, 0)), ("top", (0.5, 0))],
)
def test_what_the_film_says(tmp_path: Path, location: str, siting: tuple[float, float]) -> None:
    frame = decoded(tmp_path / "clip.mkv", "libx264", location)
    asked = Siting()
    assert asked(frame) == siting
    # Other layouts of the same frame, and again: nothing sticks.
    for pixels in ("nv12", "yuv420p10le", "p010le"):
        assert asked(frame.reformat(format=pixels)) == siting
    assert asked(frame) == siting


@pytest.mark.parametrize(
    ("location", "siting"),
    [("left", (0, 0.5)), ("center", CENTRED), ("topleft", (0, 0)), ("bottom", (0.5, 1))],
)
def test_what_an_interlaced_film_says(
    tmp_path: Path, location: str, siting: tuple[float, float]
) -> None:
    # Of which swscale enlarges each field by itself.
    for order in ("tff", "bff"):
        frame = decoded(tmp_path / "clip.mkv", "libx264", location, **{"x264-params": f"{order}=1"})
        assert frame.interlaced_frame
        assert Siting()(frame) == siting, order
        assert Siting()(frame.reformat(format="nv12")) == siting, order


@pytest.mark.parametrize("matrix", range(18))
def test_any_matrix_is_taken_even_such_as_swscale_lacks(tmp_path: Path, matrix: int) -> None:
    frame = decoded(tmp_path / "clip.mkv", "libx264", "topleft")
    frame.colorspace = matrix
    assert Siting()(frame) == (0, 0)
    assert frame.colorspace == matrix


def test_a_film_that_says_nothing(tmp_path: Path) -> None:
    assert Siting()(decoded(tmp_path / "clip.mkv", "mpeg2video", "unspecified"))[1] == 0.5
    assert Siting()(av.VideoFrame(64, 48, "yuv420p")) == CENTRED


def test_the_frame_stays_as_it_is() -> None:
    frame = av.VideoFrame(64, 48, "yuv420p")
    frame.colorspace, frame.color_range, frame.pts = 1, 2, 7
    Siting()(frame)
    assert (frame.colorspace, frame.color_range, frame.pts, frame.format.name) == (
        1, 2, 7, "yuv420p",
    )  # fmt: skip
