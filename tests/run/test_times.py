"""The times of a film's frames, which are kept in few bytes."""

from fractions import Fraction

import numpy as np

from stream.frame import Frame
from stream.run.times import Times
from tests.held import memory_held
from tests.media import make_picture


def test_times_take_no_memory_where_they_are_even():
    times = Times()
    blank = Frame(make_picture(0, 16, 16, "yuv420p"), 0, 0, Fraction(1, 30), 1)
    with memory_held("stream/run/") as held:
        for index in range(20_000):
            blank.pts = 5 + 2 * index
            times.add(blank)
        assert held() < 20_000
    assert len(times) == 20_000
    assert [pts for pts, _, _ in times] == [5 + 2 * index for index in range(20_000)]


def test_uneven_times_come_out_as_they_went_in():
    times = Times()
    rng = np.random.default_rng(2)
    given = []
    for pts in np.cumsum(rng.integers(1, 4, 500)).tolist():
        duration = None if pts % 5 == 0 else int(rng.integers(1, 3))
        given.append((pts, duration, Fraction(1, 90)))
        times.add(Frame(None, 0, pts, Fraction(1, 90), duration))
    assert list(times) == given
