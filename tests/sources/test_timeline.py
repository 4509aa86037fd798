"""Times only grow, all streams move together, and nothing moves without need."""

from __future__ import annotations

import itertools
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from stream.sources._timeline import Timeline

MILLI = Fraction(1, 1000)


@given(st.lists(st.one_of(st.none(), st.integers(-(10**6), 10**6)), min_size=1))
def test_whatever_is_stored_times_grow(stored):
    timeline = Timeline()
    previous, out = None, []
    for pts in stored:
        previous = timeline.picture(pts, previous, 40, MILLI, 0)
        out.append(previous)
    assert all(a < b for a, b in itertools.pairwise(out))


@given(
    st.lists(st.integers(0, 10**6), min_size=1, unique=True).map(sorted),
    st.fractions(0, 1000, max_denominator=1000),
)
def test_times_that_grow_are_only_shifted(stored, zero):
    timeline = Timeline(zero=zero)
    previous, out = None, []
    for pts in stored:
        previous = timeline.picture(pts, previous, 40, MILLI, 0)
        out.append(previous)
    assert timeline.nudged == 0
    assert out == [pts - round(zero / MILLI) for pts in stored]


def test_a_picture_without_a_time_follows_the_one_before():
    timeline = Timeline()
    assert timeline.picture(None, None, 40, MILLI, 0) == 0
    assert timeline.picture(None, 0, 40, MILLI, 0) == 40
    assert timeline.nudged == 1


@given(st.integers(2000, 10**9), st.integers(0, 900))
def test_a_clock_that_starts_over_keeps_sound_and_picture_together(jump, lead):
    timeline = Timeline(anywhere=True)
    video, sound = [jump, jump + 40, 0, 40], [jump + lead, jump + lead + 20, lead, lead + 20]
    seen, heard = [], []
    for picture, packet in zip(video, sound, strict=True):
        seen.append(timeline.shifted(picture, 40, MILLI, 0))
        heard.append(timeline.shifted(packet, 20, MILLI, 1))
    assert timeline.splices == 1
    assert seen == [jump, jump + 40, jump + 80, jump + 120]
    assert [b - a for a, b in zip(seen, heard, strict=True)] == [lead, lead - 20, lead, lead - 20]
