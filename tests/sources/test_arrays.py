"""Pictures that a program has already go in exactly as they are."""

from __future__ import annotations

import threading
from fractions import Fraction

import numpy as np
import pytest

import stream
from stream.errors import PictureError, SourceError, UsageError
from stream.pictures.pixels import bgr_from_picture
from stream.sources.arrays import ArraysSource
from tests import tiny_models


def noise(seed: int, height: int = 17, width: int = 31) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_every_pixel_comes_back_whatever_the_size():
    given = [noise(1), noise(2, 40, 8), noise(3, 1, 1)]
    source = ArraysSource(given, Fraction(30000, 1001))
    frames = list(source)
    assert source.info.frames == 3 and source.info.rate == Fraction(30000, 1001)
    assert frames[2].pts * frames[2].time_base == 2 * Fraction(1001, 30000)
    for frame, array in zip(frames, given, strict=True):
        assert np.array_equal(bgr_from_picture(frame.image)[:, :, ::-1], array)


@pytest.mark.parametrize(
    "view",
    [
        lambda array: array[:, :, ::-1],
        lambda array: array[::-1, ::-2],
        np.asfortranarray,
        lambda array: np.broadcast_to(array[:1, :1], (4, 6, 3)),
    ],
)
def test_views_are_as_good_as_arrays(view):
    array = view(noise(4))
    (frame,) = ArraysSource([array])
    assert np.array_equal(bgr_from_picture(frame.image)[:, :, ::-1], array)


def test_a_generator_is_taken_one_by_one_and_closed():
    taken, closed = [], []

    def generate():
        try:
            for index in range(100):
                taken.append(index)
                yield noise(index)
        finally:
            closed.append(True)

    source = ArraysSource(generate())
    assert taken == [0] and source.info.frames is None
    for frame in source:
        assert taken == list(range(frame.index + 1))
        if frame.index == 3:
            source.close()
    assert taken == [0, 1, 2, 3] and closed == [True]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (noise(0).astype(np.float32), r"picture 1 is float32 \[17, 31, 3\]"),
        (noise(0)[..., 0], r"picture 1 is uint8 \[17, 31\]"),
        (np.zeros((4, 4, 4), np.uint8), r"uint8 \[4, 4, 4\]"),
        (np.zeros((0, 4, 3), np.uint8), r"uint8 \[0, 4, 3\]"),
        ("film.mp4", "picture 1 is str"),
        (None, "picture 1 is NoneType"),
    ],
)
def test_what_is_no_such_array_is_named(wrong, words):
    source = ArraysSource(iter([noise(0), wrong]))
    with pytest.raises(PictureError, match=words) as told:
        list(source)
    assert isinstance(told.value, SourceError) and isinstance(told.value, ValueError)


def test_nothing_and_no_rate_are_refused():
    with pytest.raises(SourceError, match="empty"):
        ArraysSource([])
    with pytest.raises(UsageError, match="pictures per second"):
        ArraysSource([noise(0)], 0)


def test_an_error_of_the_program_s_own_goes_through():
    def generate():
        yield noise(0)
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        list(ArraysSource(generate()))


def test_a_generator_that_waits_for_ever_is_left_and_let_go_of_once_it_gives(tmp_path):
    model = str(tiny_models.nothing(tmp_path / "nothing.onnx"))
    comes, closed = threading.Event(), threading.Event()
    guard = threading.Timer(60, comes.set)
    guard.start()

    def pictures():
        try:
            yield noise(5)
            comes.wait()
            yield noise(6)
        finally:
            closed.set()

    try:
        with stream.open(pictures(), model=model, track=False) as video:
            for frame in video:
                assert frame.index == 0
                break
        assert not comes.is_set() and not closed.is_set(), "nobody waited for the second"
    finally:
        comes.set()
        guard.cancel()
    assert closed.wait(60)
    for one in threading.enumerate():
        if one.name == "stream-arrays":
            one.join(60)
