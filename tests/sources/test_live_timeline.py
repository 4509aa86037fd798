"""Timestamps of live sources run on over everything that happens."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.sources.live_timeline import TICKS, Timeline

MS = Fraction(1, 1000)


def seconds(tick: int) -> float:
    return float(tick * TICKS)


def test_within_a_connection_the_sources_clock_counts():
    line = Timeline()
    ticks = [line.place(pts, MS, 10 + pts / 1000 + jitter) for pts, jitter in
             ((5000, 0), (5040, 0.03), (5090, 0.01), (5120, 0.0))]  # fmt: skip
    assert [round(1000 * seconds(tick)) for tick in ticks] == [0, 40, 90, 120]
    assert line.shift == -5


def test_an_outage_is_as_long_as_it_was():
    line = Timeline()
    line.place(90_000, TICKS, 100.0)
    line.reconnected()
    assert line.shift is None
    assert seconds(line.place(77, MS, 103.5)) == 3.5
    assert seconds(line.place(117, MS, 103.5)) == 3.54


def test_an_outage_is_as_long_as_it_was_though_the_picture_before_came_late():
    """As what a decoder or a connection has kept comes when the time-out is over."""
    for late in (1.0, 5.0, 50.0):
        line = Timeline()
        for index in range(250):
            line.place(40 * index, MS, 100 + index / 25 + late * (index == 249))
        line.reconnected()
        for index in range(25):
            placed = seconds(line.place(7 + 40 * index, MS, 200 + index / 25))
            assert abs(placed - 100 - index / 25) < 0.02, late


@pytest.mark.parametrize("kept", [0, 4])
@pytest.mark.parametrize("outages", [[5.0], [0.5] * 9 + [60.0]], ids=["long", "mixed"])
def test_what_servers_have_kept_for_who_joins_makes_many_outages_no_longer(kept, outages):
    """A server of RTMP begins with up to some seconds of pictures, which come at once."""
    line, wall, last = Timeline(), 0.0, -1.0
    ahead: list[float] = []
    for number in range(5 * len(outages)):
        line.reconnected()
        for half in range(24):
            arrived = wall + max(0.0, half / 2 - kept)
            told = seconds(line.place(500 * half + 77 * number, MS, arrived))
            assert told > last
            ahead.append(told - arrived)
            last = told
        wall = arrived + outages[number % len(outages)]
    if not kept:
        assert max(map(abs, ahead)) < 0.1, "every outage has its true length"
    # What is sent twice, as it was seen before a short outage, is paid for by a long one.
    behind_a_long_one = ahead[:: 24 * len(outages)]
    assert len(behind_a_long_one) == 5 and max(map(abs, behind_a_long_one)) < 0.1
    assert max(ahead) < kept * len(outages) + 0.1


def test_a_clock_that_jumps_or_runs_back_is_set_anew():
    line = Timeline()
    line.place(0, MS, 0.0)
    assert seconds(line.place(3_600_000, MS, 0.04)) == 0.04
    assert seconds(line.place(3_600_040, MS, 0.08)) == 0.08
    assert abs(seconds(line.place(5050, MS, 0.12)) - 0.12) < 1e-4
    # A silence of the source that the wall clock saw too is no jump.
    assert abs(seconds(line.place(65_050, MS, 60.12)) - 60.12) < 1e-4


def test_of_a_clock_that_stands_still_the_wall_clock_counts():
    """For a picture or two, as where each is sent twice, or for an hour."""
    told = [40 * step for step in range(50)]
    for name, own in (
        ("from the beginning", [0] * 500 + told),
        ("on the way", [*told, *[told[-1]] * 500, *(told[-1] + one for one in told[1:])]),
        ("each twice", [80 * (step // 2) for step in range(500)]),
    ):
        line = Timeline()
        ticks = [line.place(at, MS, step / 25) for step, at in enumerate(own)]
        off = [abs(seconds(tick) - step / 25) for step, tick in enumerate(ticks)]
        assert max(off) < 0.05, name


def test_a_clock_that_runs_at_another_speed_makes_a_recording_a_minute_longer_at_most():
    """Twice or half as fast, for five minutes; but not what is taken at its own pace."""

    def length(speed, paced=False, late=lambda at: 0.0):
        line = Timeline(paced=paced)
        times = [one / 4 for one in range(4 * 300)]
        ticks = [line.place(round(1000 * speed * at), MS, at + late(at)) for at in times]
        assert ticks == sorted(set(ticks))
        return seconds(ticks[-1])

    assert 300 <= length(2.0) < 322
    assert 238 < length(0.5) <= 300
    assert length(2.0, paced=True) > 598
    assert abs(length(1.005) - 1.005 * 299.75) < 0.1, "no two clocks agree"

    def stalls(at):  # half a minute late by and by, which is then made up for
        return max(0.0, min((at - 50) / 2, (170 - at) / 2, 30))

    assert abs(length(1.0, late=stalls) - 299.75) < 0.1


def test_that_a_clock_was_left_is_said_with_how_fast_it_ran():
    for speed, said in ((2.0, "at 2.00 times"), (0.5, "at 0.50 times"), (1.0, "")):
        line = Timeline()
        for step in range(4 * 300):
            line.place(round(1000 * speed * step / 4), MS, step / 4)
        told = line.remarks("the door")
        assert said in (told or [""])[0] and len(told) == bool(said), speed
        line.reconnected()
        assert line.remarks("the door") == told, "what was recorded stays wrong"


def test_the_clock_of_the_next_connection_is_believed_again():
    line = Timeline()
    for one in range(1000):
        line.place(2000 * one // 15, MS, one / 15)
    line.reconnected()
    ticks = [line.place(40 * one, MS, 70 + 0.03 * (one % 2) + one / 25) for one in range(20)]
    assert {after - before for before, after in itertools.pairwise(ticks)} == {3600}


def test_without_timestamps_the_wall_clock_counts():
    line = Timeline()
    assert line.place(None, None, 5.0) == 0
    assert seconds(line.place(None, MS, 5.2)) == 0.2
    assert line.place(None, MS, 5.2) == round(0.2 / TICKS) + 1


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(-(2**40), 2**40)), st.floats(0, 10), st.booleans()
        ),
        max_size=50,
    )
)
def test_it_never_runs_back(steps):
    line = Timeline()
    wall, last = 0.0, -1
    for pts, passed, reconnects in steps:
        wall += passed
        if reconnects:
            line.reconnected()
        tick = line.place(pts, TICKS, wall)
        assert tick > last
        last = tick


def test_damaged_times_make_the_line_no_longer():
    """Of twenty seconds in which one picture in five claims a time near its own."""
    for wrong in (0.1, 1.0, 1.4, 2.0, 4.9, 30.0, -0.05, -0.1, -0.5, -3.0):
        line = Timeline()
        placed = []
        for index in range(503):
            at = index / 25
            claimed = at + wrong if index % 5 == 4 else at
            placed.append(seconds(line.place(round(claimed * 1000), MS, 100 + at)))
        assert all(b > a for a, b in itertools.pairwise(placed))
        # Nothing runs back: behind one that was ahead there may be no place of one's own.
        assert abs(placed[-1] - 502 / 25) < 0.1 + max(0.0, wrong) * (wrong < 1.5), wrong
        # What sound is put beside the pictures by is the same as before.
        assert line.shift == 0, wrong


def test_what_a_source_makes_up_for_after_a_stall_is_taken_at_its_word():
    """It hung for four seconds, sent what it had kept at once, and left the rest out."""
    line = Timeline()
    line.place(0, MS, 100.0)
    late = [line.place(40 * index, MS, 104.0) for index in range(1, 26)]
    assert [round(seconds(tick), 2) for tick in late] == [index / 25 for index in range(1, 26)]
    assert seconds(line.place(4000, MS, 104.04)) == 4.0


@pytest.mark.parametrize("stall", [4.0, 6.7, 20.0, 55.0, 100.0])
@pytest.mark.parametrize("reconnects", [False, True])
def test_what_a_sender_that_was_suspended_sends_at_once_is_where_it_was_taken(stall, reconnects):
    """All of it, or its last second, in one connection or two, twice in a row; then as before."""
    for lost in (0.0, max(0.0, stall - 1)):
        line = Timeline()
        for index in range(25 * max(240, round(4 * stall))):
            at, came = index / 25, index / 25
            for held in (30.0, 30.0 + 2 * stall):
                if held <= at < held + stall:
                    came = held + stall
                if held <= at < held + lost:
                    came = -1.0
                if reconnects and index == round(25 * (held + lost)):
                    line.reconnected()
                    line.reconnected()
            if came >= 0:
                placed = seconds(line.place(90_000 + 1000 * index // 25, MS, 700 + came))
                assert abs(placed - at) < 0.002, (lost, at, placed)
        assert not line.remarks("it") and line.shift == -90
        line.reconnected()
        assert abs(seconds(line.place(0, MS, 700 + at + 3.5)) - at - 3.5) < 0.002


def behind_silences(speed, silences, *, taken=1, jitter=0.0, reconnects=False):
    """Seconds of a line, when its pictures came, and were taken by a clock that never stands.

    Args:
        speed: at which pictures come behind a silence until all were made up for.
        silences: when each begins, and how long it is.
        taken: of how many pictures one is, as the others were dropped in a burst.
        jitter: seconds that pictures are late by, at most.
    """
    line, rows, wall, known = Timeline(), [], 0.0, [*silences]
    for index in range(1000):
        at = index / 5
        wall = max(at, wall + 0.2 / speed)
        if known and at >= known[0][0]:
            wall = max(wall, at + known.pop(0)[1])
            if reconnects:
                line.reconnected()
        if wall - at < 0.1 or index % taken == 0:
            came = 1000 + wall + jitter * (7 * index % 9) / 9
            rows.append((seconds(line.place(round(1000 * (at + 50)), MS, came)), came - 1000, at))
    assert not line.remarks("it")
    return rows


def test_behind_a_long_silence_all_that_is_made_up_for_is_where_it_was_taken():
    """As slowly as by FFmpeg, however few pictures are taken, at once or held up again."""
    for silences, taken, jitter, reconnects in (
        ([(20, 70), (40, 30)], 1, 0.2, True),
        ([(20, 70), (20.4, 8)], 8, 0.2, False),
        ([(20, 150)], 8, 0.0, True),
    ):
        for speed in (1.05, 3, 1000):
            rows = behind_silences(
                speed, silences, taken=taken, jitter=jitter, reconnects=reconnects
            )
            off = max(abs(placed - at) for placed, _, at in rows)
            assert off < 0.002, (silences, taken, speed)


def test_damaged_times_in_what_is_made_up_for_make_no_gap():
    for wrong in (3600, -3600, -0.5, 1.2):
        line, shown = Timeline(), []
        for index in range(25 * 140):
            at = index / 25
            came = max(at, 100 + at / 10) if at >= 20 else at
            told = at + wrong * (at >= 25 and index % 100 == 0)
            shown.append((seconds(line.place(round(1000 * told), MS, came)), at, told))
        off = max(abs(there - at) for there, at, told in shown if told == at)
        assert off < 0.1 + 1.2 * (wrong == 1.2) and not line.remarks("it"), wrong


def test_what_a_slow_clock_was_late_by_before_makes_no_gap():
    line, own = Timeline(), 0.0
    for index in range(10_000):
        own = 0.991 * index
        held = 7000 <= index < 7080
        placed = seconds(line.place(round(1000 * own), MS, 500 + (7080 if held else index)))
        assert abs(placed - own) < 0.002, index
    assert not line.remarks("it")


@pytest.mark.parametrize("reconnects", [False, True])
def test_a_clock_that_stood_in_a_long_silence_has_its_gap_some_seconds_later(reconnects):
    """As of a player that was paused; in pieces or not, twice, and its clock may be slow.

    What came last before may have waited for a time-out, and so have come within the silence.
    """
    for pause, piece, drift in ((62, 0, 0), (100, 2, 0), (3600, 0.4, 0), (70, 0, 0.005)):
        line, own, wall, off = Timeline(), 50.0, 0.0, 0.0
        for _ in range(2):
            for index in range(5 * 120):
                own += 0.2 * (1 - drift)
                wall += 0.2
                came = piece * (1 + wall // piece) if piece else wall
                came += 5 * (index == 5 * 120 - 1)
                placed = seconds(line.place(round(1000 * own), MS, 1000 + came))
                off = placed - wall
                if 5 * (9 + 2 * piece) < index < 5 * 120 - 1:
                    assert abs(off) < 0.3 + 2 * piece + 240 * drift, (pause, piece, drift, wall)
            wall += pause
            if reconnects:
                line.reconnected()
        assert not line.remarks("it")


def test_a_clock_that_begins_anew_behind_a_silence_does_not_go_on():
    """It begins where it began before; and what was left is no clock."""
    for ran, silence, own in ((30, 7, 0), (30, 7, 29.5), (30, 7, 40), (3, 7, 4), (30, 61, 29)):
        for reconnects in (False, True):
            line = Timeline()
            for index in range(25 * ran):
                line.place(40 * index, MS, 100 + index / 25)
            if reconnects:
                line.reconnected()
            placed = seconds(line.place(round(1000 * own), MS, 100 + ran - 0.04 + silence))
            assert abs(placed - (ran - 0.04 + silence)) < 0.002, (ran, silence, own, reconnects)
    line = Timeline()
    for index in range(1000):
        line.place(2000 * index // 15, MS, index / 15)
    line.reconnected()
    placed = seconds(line.place(2 * 67_000, MS, 72.0))
    assert placed < 120, "a clock of twice the speed was left for the wall's"


def test_what_a_server_has_kept_is_still_owed_behind_a_clock_that_goes_on():
    line = Timeline()
    for index in range(1000):  # four seconds come at once
        line.place(40 * index, MS, max(0.0, index / 25 - 4))
    line.reconnected()
    assert seconds(line.place(47_000, MS, 43.0)) == 47
    line.reconnected()
    assert abs(seconds(line.place(0, MS, 60.0)) - 60) < 0.01


def test_pictures_of_one_a_second_may_come_in_a_burst():
    line = Timeline()
    assert [seconds(line.place(1000 * index, MS, 100.0)) for index in range(8)] == list(range(8))


def test_a_film_from_a_server_keeps_its_stills_however_its_pictures_come():
    """Pictures wait until those before were shown; a display may stand, a program be stopped."""
    own = [0.0, 0.04, 1.3, 1.34, 4.4, 12.4, 12.44, 12.48, 100.0, 100.04]
    for came in ([0.0] * 10, own, [0.0, 0.0, 0.04, 1.3, 1.34, 4.4, 12.4, 102.4, 102.44, 190.0]):
        line = Timeline(paced=True, still=3600.0)
        ticks = [line.place(round(1000 * at), MS, 50 + wall)
                 for at, wall in zip(own, came, strict=True)]  # fmt: skip
        assert [round(seconds(tick), 3) for tick in ticks] == own, came
        # Longer than any still is another clock, and so is one that is back.
        far = seconds(line.place(9_000_000, MS, 50 + came[-1] + 0.04))
        assert seconds(line.place(0, MS, 50 + came[-1] + 0.08)) - far < 0.1 and far < 100.2


def jittered(pictures, wrong=lambda at: 0.0, began=1000.0):
    """Seconds of a line whose pictures come up to 80 ms late, and what each claims to be."""
    line = Timeline()
    own = [one / 25 for one in range(pictures)]
    claimed = [round(1000 * (at + wrong(at))) for at in own]
    ticks = [
        line.place(told, MS, began + at + 0.01 * (7 * index % 9))
        for index, (at, told) in enumerate(zip(own, claimed, strict=True))
    ]
    return own, [seconds(tick) for tick in ticks]


def test_times_are_the_sources_own_however_late_its_pictures_come():
    own, placed = jittered(100)
    assert placed == [round(at, 9) for at in own]
    # After a clock that was set, the new one's own, from where its first picture came.
    own, placed = jittered(100, lambda at: 3600.0 if at >= 2 else 0.0)
    steps = [round(after - before, 6) for before, after in itertools.pairwise(placed)]
    assert [step for step in steps if step != 0.04] == [steps[49]] and abs(steps[49] - 0.04) < 0.09


def test_after_one_damaged_time_the_clock_is_the_one_before():
    """Whether it came sooner or later than the one that follows, which are up to 80 ms late."""
    for wrong in (3600.0, -3600.0, 0.3, 0.8, 1.4, -0.3):
        for which in range(40, 60):
            own, placed = jittered(
                100, lambda at, wrong=wrong, which=which: wrong if at == which / 25 else 0.0
            )
            off = [abs(there - at) for there, at in zip(placed, own, strict=True)]
            ahead = range(which, which + 3)
            assert max(gap for index, gap in enumerate(off) if index not in ahead) < 1e-6, which
            assert max(off) < 0.31


def test_one_damaged_time_behind_a_stall_is_no_new_clock():
    for stall in (0.2, 1.0, 4.0):
        line = Timeline()
        for index in range(200):
            own = index / 25
            came = own if index < 50 else max(own, 2 + stall)
            claimed = 3600 if index == 50 else own
            line.place(round(1000 * claimed), MS, 100 + came)
        assert line.shift == 0, stall


def test_after_several_that_are_damaged_alike_the_clock_is_the_one_before():
    own, placed = jittered(100, lambda at: 3600.0 if 2 <= at < 2.2 else 0.0)
    assert [round(at, 6) for at in placed[60:]] == [round(at, 6) for at in own[60:]]


def test_two_or_more_damaged_alike_move_the_line_no_more_than_one_does():
    """Alike or not, ahead or behind, by what a source may make up for or by more."""
    for wrong in (0.3, 1.0, 1.4, 2.0, 30.0, -0.3, -1.0, -3.0):
        for many, other in ((2, 0.0), (2, -0.25), (3, 0.0), (8, 0.0), (12, 0.0)):
            claims = {40 + one: wrong + other * (one % 2) for one in range(many)}
            own, placed = jittered(150, lambda at, claims=claims: claims.get(round(at * 25), 0.0))
            assert all(b > a for a, b in itertools.pairwise(placed))
            # Nothing runs back: behind one that was ahead there may be no place of one's own.
            off = [abs(there - at) for there, at in zip(placed, own, strict=True)]
            assert max(off[40 + many + 40 :]) < 1e-6, (wrong, many, other)


def test_a_clock_that_is_set_back_a_little_is_a_new_one_and_its_pictures_keep_their_pace():
    _, placed = jittered(150, lambda at: -0.6 if at >= 2 else 0.0)
    steps = [round(after - before, 6) for before, after in itertools.pairwise(placed)]
    assert [step for step in steps if step != 0.04] == [steps[49]] and steps[49] < 0.13


def test_a_clock_that_is_back_too_late_or_too_soon_is_a_new_one():
    """Behind two pictures of another; behind one it may be as late as any picture may."""
    for late, is_old in ((0.08, True), (-0.08, True), (0.15, False), (-0.15, False)):
        line = Timeline()
        for at in (0, 1000, 3_600_000, 3_601_000):
            line.place(at, MS, at % 3_598_000 / 1000)
        placed = seconds(line.place(4000, MS, 4 + late))
        assert abs(placed - (4 if is_old else 4 + late)) < 1e-4, late
    for late, is_old in ((4.9, True), (-1.4, True), (5.1, False), (-1.6, False)):
        line = Timeline()
        for at in (0, 1000, 3_600_000):
            line.place(at, MS, min(at, 1300) / 1000)
        placed = seconds(line.place(4000, MS, 4 + late))
        assert abs(placed - (4 if is_old else 4 + late)) < 1e-4, late


def test_no_two_clocks_agree_and_that_is_no_other_speed_for_days():
    for speed in (1.009, 0.991):
        line = Timeline()
        for at in range(0, 20_000, 4):
            placed = line.place(round(1000 * speed * at), MS, 1e6 + at)
        assert abs(seconds(placed) - speed * at) < 0.01 and line.remarks("it") == []


def test_it_is_present_from_its_first_picture_on_and_two_pictures_are_not_at_once():
    line = Timeline()
    assert line.present(5.0) is None and not line.paced
    line.place(0, MS, 5.0)
    assert line.place(2000, MS, 7.5) == 180_000
    assert line.present(8.0) == 2.5
    fine = Timeline()
    assert [fine.place(at, MS / 1000, 0.0) for at in (0, 1)] == [0, 1]


def test_for_how_long_a_clock_counted_is_said_of_any_connection():
    line = Timeline()
    line.place(0, MS, 500.0)
    line.reconnected()
    for step in range(4 * 60):
        line.place(round(1000 * 2 * step / 4), MS, 700 + step / 4)
    (told,) = line.remarks("the door")
    assert "for 20 s its times counted, so that 40 s were recorded" in told
