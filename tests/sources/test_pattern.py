"""The test picture moves, in real time where it is live."""

from __future__ import annotations

import itertools
import threading
from fractions import Fraction

import pytest

from stream.errors import UsageError
from stream.sources.pattern import PatternSource
from tests import media
from tests.sources.clocks import HandClock


def test_every_picture_differs_and_has_its_time():
    with PatternSource(64, 48, Fraction(30000, 1001), frames=5) as source:
        frames = list(source)
    assert [frame.pts for frame in frames] == [0, 1, 2, 3, 4]
    assert frames[0].time_base == Fraction(1001, 30000)
    luma = [media.planes(frame.image)[0].copy() for frame in frames]
    assert all((a != b).any() for a, b in itertools.pairwise(luma))
    assert source.info.frames == 5


def test_live_pictures_come_at_their_rate_and_late_ones_are_not_made():
    clock = HandClock()
    times = []
    late = {3: 0.2, 6: 0.05}  # the second by two pictures and a half, which can be made up for
    with PatternSource(64, 48, 50, live=True, clock=clock) as source:
        for frame in source:
            assert clock.time == pytest.approx(100 + frame.pts / 50, abs=0.06)
            times.append(frame.pts)
            clock.time += late.get(frame.index, 0.0)
            if frame.index == 10:
                break
        assert times == [0, 1, 2, 3, 13, 14, 15, 16, 17, 18, 19]
        assert clock.time == pytest.approx(100 + 19 / 50), "it is in time again"
        assert source.dropped == 9


def test_close_from_another_thread_ends_a_live_source():
    source = PatternSource(64, 48, Fraction(1, 1000), live=True)
    came = threading.Event()

    def iterate() -> None:
        for _ in source:
            came.set()

    thread = threading.Thread(target=iterate)
    thread.start()
    assert came.wait(60)
    source.close()
    thread.join(60)  # the next picture would be due in a thousand seconds
    assert not thread.is_alive()


@pytest.mark.parametrize(("width", "height"), [(640, 480), (1280, 720), (321, 479), (16, 90)])
def test_it_fills_any_size_with_the_clip_in_its_shape(width, height):
    with PatternSource(width, height, frames=1) as source:
        (frame,) = source
    assert (frame.image.width, frame.image.height) == (width, height)
    luma = media.planes(frame.image)[0]
    assert luma.shape == (height, width) and luma.std() > 10


def test_somebody_is_found_in_it():
    from stream import Segmenter

    segmenter = Segmenter.load("default")
    with PatternSource(640, 480, frames=160) as source:
        shown = [frame for frame in source if frame.index in (0, 155)]  # it is 150 pictures long
    for frame in shown:
        assert "person" in segmenter(frame.rgb()).names


@pytest.mark.parametrize(
    "bad", [(8, 48, 30), (64, 48, 0), (70000, 70000, 30), (20000, 16, 30), (9000, 9000, 30)]
)
def test_an_impossible_picture_is_refused(bad):
    with pytest.raises(UsageError, match="16 to 16384 pixels, and it has at most 67 million"):
        PatternSource(*bad)
