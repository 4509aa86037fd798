"""`--pixel-format`: how samples of video are stored."""

import av
import cv2
import numpy as np
import pytest

from tests import photos


@pytest.fixture
def rendered(tmp_path):
    """A folder of numbered pictures, as a renderer leaves them."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(4):
        shown = np.roll(photos.coffee()[:192, :320], 8 * number, axis=1)
        cv2.imwrite(str(folder / f"{number:04d}.png"), shown[..., ::-1])
    return folder


def first(path):
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def test_rendered_pictures_become_a_film_that_all_players_show(stream, bright, rendered, tmp_path):
    told = ("file", rendered / "%04d.png", "--fps", 24, "--model", bright, "--look", "labels")
    result = stream(*told, "-o", "full.mp4")
    assert result.code == 0, result.err
    assert "H.264 in yuv444p10le" in result.out and "--pixel-format yuv420p" in result.out
    assert first(tmp_path / "full.mp4").format.name == "yuv444p10le"
    result = stream(*told, "-o", "usual.mp4", "--pixel-format", "yuv420p", "--crf", 4)
    assert result.code == 0, result.err
    assert "H.264 in" not in result.out and "does not take" not in result.out
    usual = first(tmp_path / "usual.mp4")
    assert (usual.format.name, usual.color_range) == ("yuv420p", 1)
    seen = usual.to_ndarray(format="rgb24").astype(int)[64:]
    expected = photos.coffee()[64:192, :320].astype(int)
    assert np.abs(seen - expected).mean() < 4
    assert np.abs((seen - expected).mean((0, 1))).max() < 2.5  # as swscale reads it


@pytest.mark.parametrize(
    ("target", "asked", "said"),
    [
        ("out.mp4", "yuv421p", "'yuv421p' is no pixel format; libx264 takes yuv420p"),
        ("out.mov", "rgb24", "'rgb24' is not what libx264 takes"),
        ("out.webp", "yuv420p", "has no --pixel-format"),
        ("out.m3u8", "yuv444p", "receivers take yuv420p"),
        ("virtual-camera", "yuv420p", "--preset and --pixel-format away"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    stream, clip, bright, tmp_path, target, asked, said
):
    result = stream("file", clip, "-o", target, "--model", bright, "--pixel-format", asked)
    assert result.code == 2
    assert said in " ".join(result.err.split())
    assert not (tmp_path / target).exists()


def test_where_nothing_is_encoded_it_is_said_to_be_in_vain(stream, clip, bright):
    told = ("file", clip, "--model", bright, "--limit", 2, "--pixel-format", "yuv420p")
    result = stream(*told, "-o", "out/%03d.png")
    assert result.code == 0, result.err
    assert "--pixel-format changed nothing" in " ".join(result.out.split())
