"""Compiled loops make a model's input as swscale and OpenCV do, to the last bit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from av.filter import Graph
from numpy.typing import NDArray

from stream import kernels
from stream.inference.contract import Resize
from stream.inference.converter import layout_of
from stream.inference.own_input import OwnInput, fill, scalings_of
from stream.inference.preprocess import Preprocessor

if kernels.compiled() is None:
    pytest.skip(f"no compiled loops: {kernels.examined()[1]}", allow_module_level=True)

LOOPS = [kernels.Kernels(path) for path in (kernels.LIBRARY, kernels.QUICK) if path.exists()]
PIXELS = ("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuvj444p", "yuv440p", "nv12")
RESIZE = Resize("letterbox", width=320, height=192, padding=114, interpolation="area")


def noise(width: int, height: int, pixels: str = "yuv420p", seed: int = 0) -> av.VideoFrame:
    random = np.random.default_rng(seed)
    frame = av.VideoFrame(width, height, pixels)
    for plane in frame.planes:
        samples = np.frombuffer(plane, np.uint8)  # type: ignore[call-overload]
        samples[...] = random.integers(0, 256, len(samples), np.uint8)
    frame.colorspace, frame.color_range = int(random.choice([1, 2, 5, 9])), int(random.choice(3))
    return frame


def through(frame: av.VideoFrame, name: str, told: str = "") -> av.VideoFrame:
    """The frame as a filter of FFmpeg's hands it on."""
    graph = Graph()
    before = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=Fraction(1, av.time_base),
    )
    graph.link_nodes(before, graph.add(name, told), graph.add("buffersink")).configure()
    before.push(frame)
    found = graph.pull()
    assert isinstance(found, av.VideoFrame)
    return found


def both(frame: av.VideoFrame, width: int, height: int) -> list[NDArray[np.uint8]]:
    """What each library makes of a frame, and last what swscale and OpenCV do."""
    layout = layout_of(frame)
    assert layout is not None
    scalings = scalings_of((layout, (width, height)))
    assert scalings is not None
    made = []
    for loops in LOOPS:
        out = np.zeros((height, width + 5, 3), np.uint8)
        fill(loops, frame, layout, scalings, out[:, 2:-3])
        assert not out[:, :2].any() and not out[:, -3:].any()
        made.append(out[:, 2:-3])
    made.append(Preprocessor(RESIZE)._mixed(frame, width, height))
    return made


def assert_the_same(made: list[NDArray[np.uint8]]) -> None:
    *ours, theirs = made
    for one in ours:
        apart = np.abs(one - theirs.astype(np.int16)).reshape(-1)
        assert not apart[:-192].any()  # OpenCV rounds what is left over at the end otherwise.
        assert apart.max() <= 1


@pytest.mark.parametrize("pixels", PIXELS)
@pytest.mark.parametrize(
    ("size", "content"),
    [
        ((320, 180), (313, 176)),  # shrunk a little
        ((640, 360), (313, 176)),  # twice
        ((854, 480), (128, 72)),  # six times, in pieces
        ((320, 192), (320, 192)),  # as it is
        ((160, 96), (320, 192)),  # enlarged
        ((97, 211), (41, 90)),  # odd sides
    ],
)
def test_planes_are_resized_and_mixed_as_by_swscale_and_opencv(
    pixels: str, size: tuple[int, int], content: tuple[int, int]
) -> None:
    assert_the_same(both(noise(*size, pixels), *content))


@pytest.mark.parametrize("seed", range(12))
def test_any_size_is(seed: int) -> None:
    random = np.random.default_rng(seed)
    size, content = random.integers(40, 500, 2), random.integers(16, 300, 2)
    frame = noise(int(size[0]), int(size[1]), str(random.choice(PIXELS)), seed)
    assert_the_same(both(frame, int(content[0]), int(content[1])))


@pytest.mark.parametrize("place", ["left", "center", "topleft", "top", "bottomleft", "bottom"])
def test_chroma_is_where_the_frame_says(place: str) -> None:
    frame = through(noise(320, 180), "setparams", f"chroma_location={place}")
    made = both(frame, 157, 88)
    assert_the_same(made)
    elsewhere = through(noise(320, 180), "setparams", "chroma_location=bottomleft")
    if place != "bottomleft":
        assert (made[0] != both(elsewhere, 157, 88)[0]).any()


def test_pictures_that_lie_upside_down_are_read_so() -> None:
    turned = through(noise(320, 180), "vflip")
    assert turned.planes[0].line_size < 0
    assert_the_same(both(turned, 157, 88))


def test_a_film_is_prepared_as_without(shared_media: Path) -> None:
    clip = shared_media / "sam2_05_default_juggle.mp4"
    own, other = Preprocessor(RESIZE), Preprocessor(RESIZE)
    # What is never the same.
    other._own = OwnInput(lambda _, width, height: np.zeros((height, width, 3), np.uint8))
    with av.open(str(clip)) as opened:
        for frame in islice(opened.decode(video=0), 8):
            assert (own(frame).pixels() == other(frame).pixels()).all()
    assert any(own._own.ready()) == kernels.compiled().resamples()  # type: ignore[union-attr]
    assert not any(other._own.ready())


def test_threads_share_it() -> None:
    frames = [noise(320, 180, seed=seed) for seed in range(6)]
    for frame in frames:
        frame.colorspace, frame.color_range = 1, 1
    prepare = Preprocessor(RESIZE)
    expected = [Preprocessor(RESIZE)(frame).pixels() for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(prepare, frames * 8))
    for at, one in enumerate(made):
        assert (one.pixels() == expected[at % 6]).all()


@pytest.mark.skipif(not kernels.compiled().resamples(), reason="no AVX2")  # type: ignore[union-attr]
@pytest.mark.parametrize("pixels", ["yuv420p10le", "rgb24", "gray", "yuv411p"])
def test_other_pictures_are_left_to_others(pixels: str) -> None:
    frame = av.VideoFrame(320, 180, pixels)
    own = OwnInput(Preprocessor(RESIZE)._mixed)
    out = np.zeros((88, 157, 3), np.uint8)
    assert not any(own(frame, out) for _ in range(8))
    assert not out.any()


@pytest.mark.skipif(not kernels.compiled().resamples(), reason="no AVX2")  # type: ignore[union-attr]
def test_fields_are_left_to_others_and_whole_pictures_are_not() -> None:
    own = OwnInput(Preprocessor(RESIZE)._mixed)
    out = np.zeros((88, 157, 3), np.uint8)
    whole = noise(320, 180)
    fields = through(whole, "setfield", "tff")
    assert fields.interlaced_frame
    assert not any(own(fields, out) for _ in range(8))
    assert [own(whole, out) for _ in range(6)] == [False] * 4 + [True] * 2


@pytest.mark.skipif(not kernels.compiled().resamples(), reason="no AVX2")  # type: ignore[union-attr]
def test_thousands_of_sizes_are_not_all_remembered() -> None:
    own = OwnInput(Preprocessor(RESIZE)._mixed)
    frame, out = noise(320, 180), np.zeros((16, 16, 3), np.uint8)
    for width in range(16, 600):
        own(frame, np.zeros((16, width, 3), np.uint8))
    assert len(own._seen) <= 257
    assert [own(frame, out) for _ in range(6)][-1]


def test_rows_shorter_than_what_is_loaded_are_left_to_others() -> None:
    layout = layout_of(noise(24, 40))
    assert layout is not None
    assert scalings_of((layout, (12, 20))) is None
