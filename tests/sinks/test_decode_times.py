"""Decoding times grow, never come after what is shown, and make the track as long as it lasts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from stream.sinks._decode_times import DecodeTimes


@dataclass
class Packet:
    pts: int
    dts: int


def reordered(times: list[int], groups: list[int]) -> list[Packet]:
    """What an encoder with B-frames makes: in each group the last picture is decoded first."""
    order: list[int] = [times[0]]
    place = 1
    for size in itertools.cycle(groups):
        group = times[place : place + size]
        if not group:
            break
        order += [group[-1], *group[:-1]]
        place += size
    # As x264: two pictures late, and before the beginning as far as the first step is long.
    step = times[1] - times[0] if len(times) > 1 else 1
    late = [times[0] - 2 * step, times[0] - step, *times]
    return [Packet(pts, dts) for pts, dts in zip(order, late, strict=False)]


@given(
    st.lists(st.integers(1, 5000), min_size=1, max_size=60),
    st.lists(st.integers(1, 3), min_size=1, max_size=5),
    st.integers(1, 5000),
    st.integers(0, 60),
)
def test_the_track_is_as_long_as_its_pictures_last(gaps, groups, last, held_back):
    times = [0, *itertools.accumulate(gaps)]
    packets = reordered(times, groups)
    clock = DecodeTimes()
    for pts in times:
        clock.encoded(pts)
    ready = max(0, len(packets) - held_back - 1)
    for packet in packets[:ready]:
        clock.assign([packet], final=False)
    clock.assign(packets[ready:], final=True)

    assert all(packet.dts <= packet.pts for packet in packets)
    assert all(a.dts < b.dts for a, b in itertools.pairwise(packets))
    end = times[-1] + last
    step = clock.last_step(end)
    assert packets[-1].dts + step - packets[0].dts == end - times[0]
    # The last packet must not claim to be shown longer than all.
    assert packets[-1].pts + step <= end or step == 1


@given(st.integers(1, 1000), st.integers(2, 50), st.lists(st.integers(1, 3), min_size=1))
def test_a_constant_rate_is_left_alone(gap, count, groups):
    times = [place * gap for place in range(count)]
    packets = reordered(times, groups)
    given_times = [packet.dts for packet in packets]
    clock = DecodeTimes()
    for pts in times:
        clock.encoded(pts)
    clock.assign(packets[:-1], final=False)
    clock.assign(packets[-1:], final=True)
    assert [packet.dts for packet in packets] == given_times


def test_where_nothing_is_reordered_the_last_picture_keeps_its_own_length():
    for times, end in (([0], 40), ([0, 10], 80), ([5], 45)):
        clock = DecodeTimes()
        for pts in times:
            clock.encoded(pts)
        clock.assign([Packet(pts, pts) for pts in times], final=True)
        assert clock.last_step(end) == end - times[-1]
