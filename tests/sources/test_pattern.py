"""The test picture moves, in real time where it is live."""

from __future__ import annotations

import itertools
import threading
import time
from fractions import Fraction

import pytest

from stream.errors import UsageError
from stream.sources.pattern import PatternSource
from tests import media


def test_every_picture_differs_and_has_its_time():
    with PatternSource(64, 48, Fraction(30000, 1001), frames=5) as source:
        frames = list(source)
    assert [frame.pts for frame in frames] == [0, 1, 2, 3, 4]
    assert frames[0].time_base == Fraction(1001, 30000)
    luma = [media.planes(frame.picture)[0].copy() for frame in frames]
    assert all((a != b).any() for a, b in itertools.pairwise(luma))
    assert source.info.frames == 5


def test_live_pictures_come_at_their_rate_and_late_ones_are_not_made():
    began = time.perf_counter()
    times = []
    with PatternSource(64, 48, 50, live=True) as source:
        for frame in source:
            times.append(frame.pts)
            if frame.index == 3:
                time.sleep(0.2)
            if frame.index == 8:
                break
    assert time.perf_counter() - began >= 0.2
    assert max(b - a for a, b in itertools.pairwise(times)) >= 8


def test_close_from_another_thread_ends_a_live_source():
    source = PatternSource(64, 48, 1, live=True)
    threading.Timer(0.1, source.close).start()
    began = time.perf_counter()
    assert len(list(source)) <= 2
    assert time.perf_counter() - began < 0.9


@pytest.mark.parametrize("bad", [(8, 48, 30), (64, 48, 0)])
def test_an_impossible_picture_is_refused(bad):
    with pytest.raises(UsageError):
        PatternSource(*bad)
