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


def test_sound_goes_with_a_picture_whose_clock_starts_over_though_it_steps_back_by_less():
    timeline = Timeline(anywhere=True)
    seen, heard = [], []
    for picture, packet in ((2460, 2380), (1950, 1960), (1990, 1980)):
        seen.append(timeline.shifted(picture, 40, MILLI, 0))
        heard.append(timeline.shifted(packet, 20, MILLI, 1))
    assert seen == [2460, 2500, 2540] and heard == [2380, 2510, 2530] and timeline.splices == 1


def test_where_a_picture_without_a_time_begins_and_what_is_said_of_it():
    timeline = Timeline(zero=Fraction(1), beginning=Fraction(3, 2))
    assert timeline.picture(None, None, 40, MILLI, 0) == 500
    assert timeline.remarks == []
    assert timeline.picture(None, 500, 40, MILLI, 0) == 540
    assert timeline.picture(1540, 540, 40, MILLI, 0) == 541, "no two are shown at once"
    assert timeline.picture(1600, 541, 40, MILLI, 0) == 600
    assert timeline.nudged == 2 and not timeline.broken
    (said,) = timeline.remarks
    assert said.startswith("2 pictures had no usable time of their own")


def test_a_clock_that_was_set_is_said_and_tells_no_length():
    for times, said in (([5000, 0], "starts over"), ([0, 20_000], "jumps ahead")):
        timeline = Timeline(anywhere=True)
        placed = [timeline.shifted(at, 40, MILLI, 0) for at in times]
        assert placed == [times[0], times[0] + 40]
        assert timeline.broken
        assert timeline.remarks == [
            f"the file's clock {said} in the middle; it was made continuous"
        ]


def test_half_a_second_back_is_a_picture_out_of_order_and_ten_seconds_ahead_a_pause():
    for anywhere, ahead in ((True, 10_000), (False, 3_600_000)):
        timeline = Timeline(anywhere=anywhere)
        times = [1000, 500, 1000, 1000 + ahead]
        assert [timeline.shifted(at, 40, MILLI, 0) for at in times] == times
        assert not timeline.broken
        # One more is too far.
        last = times[-1]
        assert timeline.shifted(last + ahead + 1, 40, MILLI, 0) == last + 40
        assert timeline.leaps == 1


def test_a_stream_that_comes_later_joins_the_clock_as_it_is_by_then():
    timeline = Timeline(anywhere=True)
    for at in (100_000, 0):
        timeline.shifted(at, 40, MILLI, 0)
    assert timeline.shifted(20, 20, MILLI, 1) == 100_060
    assert timeline.shifted(200_000, 20, MILLI, 1) == 100_080, "and shows what comes after"
    assert (timeline.splices, timeline.leaps) == (1, 1)


def test_a_stream_moves_to_the_stretch_that_is_near_and_to_no_other():
    timeline = Timeline(anywhere=True)
    timeline.shifted(500_000, 20, MILLI, 1)
    # The picture's clock starts over twice, sound's once: to the second beginning.
    for at in (500_000, 100_000, 1000):
        timeline.shifted(at, 40, MILLI, 0)
    assert timeline.splices == 2
    assert timeline.shifted(1500, 20, MILLI, 1) == 500_080 + 500
    assert timeline.splices == 2


def test_what_comes_now_and_then_shows_no_clock_that_was_set():
    timeline = Timeline(anywhere=True)
    assert timeline.shifted(100_000, 0, MILLI, 2, leads=False) == 100_000
    assert timeline.shifted(500, 0, MILLI, 2, leads=False) == 500
    assert not timeline.broken


def test_a_clock_that_is_another_one_for_a_while_takes_no_time_of_its_own():
    timeline = Timeline()
    video = [
        *range(0, 9000, 40),
        0,
        40,
        80,
        *range(9120, 20000, 40),
        0,
        40,
        *range(20080, 21000, 40),
    ]
    sound = [one + 10 for one in video]
    seen, heard, previous = [], [], None
    for picture, packet in zip(video, sound, strict=True):
        previous = timeline.picture(picture, previous, 40, MILLI, 0)
        seen.append(previous)
        heard.append(timeline.shifted(packet, 40, MILLI, 1))
    assert seen == list(range(0, 21000, 40))
    assert heard == [one + 10 for one in seen]
    assert (timeline.splices, timeline.leaps, timeline.lapses) == (0, 0, 2)
    assert timeline.broken
    assert timeline.remarks == [
        "the file's clock is another one for a while in the middle; it was made continuous"
    ]


def test_a_recording_that_pauses_behind_another_is_none_that_returns():
    timeline = Timeline()
    first, second = list(range(0, 40_000, 40)), [*range(0, 35_000, 40), *range(75_000, 76_000, 40)]
    previous, seen = None, []
    for one in (*first, *second):
        previous = timeline.picture(one, previous, 40, MILLI, 0)
        seen.append(previous)
    assert seen == [*first, *(40_000 + one for one in second)]
    assert (timeline.splices, timeline.lapses) == (1, 0)
