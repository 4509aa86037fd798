"""Footage that behaves like a camera."""

from __future__ import annotations

import itertools
import threading
from fractions import Fraction

import pytest

from stream.errors import SourceError
from stream.frame import Frame
from stream.sources.file import FileSource
from stream.sources.looped import LoopedSource
from stream.sources.pattern import PatternSource
from tests.sources.clocks import HandClock
from tests.sources.serving import RATE, make_clip


def test_a_clip_is_played_in_real_time_over_and_over(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", 1)
    clock = HandClock()
    source = LoopedSource(lambda: FileSource(clip), rounds=2, clock=clock)
    assert source.info.live and source.info.frames is None and source.info.copied == ()
    frames = list(source)
    assert len(frames) == 2 * RATE and source.dropped == 0
    assert clock.time - 100 == pytest.approx((2 * RATE - 1) / RATE)
    times = [frame.pts_seconds for frame in frames]
    assert {round(b - a, 3) for a, b in itertools.pairwise(times)} == {0.04}
    assert [frame.index for frame in frames] == list(range(len(frames)))


def test_a_frame_is_born_when_it_is_due_less_its_decoding():
    clock = HandClock()
    source = LoopedSource(lambda: PatternSource(64, 48, 50, frames=10), rounds=3, clock=clock)
    for frame in source:
        due = 100 + frame.index / 50
        assert clock.time == pytest.approx(due)
        assert frame.captured_at == pytest.approx(due - frame.stages["decode"])
        clock.time += 0.013  # less than a frame lasts


class Slow(PatternSource):
    """Pictures whose decoding takes a while, as told."""

    def __init__(self, clock, decodings):
        super().__init__(64, 48, 50, frames=len(decodings))
        self._clock, self._decodings = clock, decodings
        self.asked = []

    def __iter__(self):
        pictures = super().__iter__()
        for seconds in self._decodings:
            self.asked.append(self._clock.time - 100)
            frame = next(pictures)
            frame.stages["decode"] = seconds
            self._clock.time += seconds
            yield frame


@pytest.mark.parametrize(
    ("decodings", "asked"),
    [
        # Well before the next is due, but not before the one before has been looked at a while.
        ([0.001] * 4, [0, 0.015, 0.035, 0.055]),
        # As long as decoding takes much of the time between two, it begins at once.
        ([0.001, 0.009, 0.009, 0.001], [0, 0.015, 0.024, 0.041]),
        ([0.018] * 4, [0, 0.018, 0.038, 0.058]),
    ],
)
def test_a_picture_is_decoded_shortly_before_it_is_due(decodings, asked):
    clock = HandClock()
    slow = Slow(clock, decodings)
    source = LoopedSource(lambda: slow, rounds=1, clock=clock)
    came = list(source)
    assert source.dropped == 0 and len(came) == len(decodings)
    assert slow.asked == pytest.approx(asked, abs=1e-9)


def test_what_is_not_taken_in_time_is_left_out():
    clock = HandClock()
    source = LoopedSource(lambda: PatternSource(64, 48, 50, frames=100), clock=clock)
    frames = iter(source)
    first = next(frames)
    clock.time += 0.51
    second = next(frames)
    source.close()
    # The next frames are due at 0.5 and 0.48: neither is late by more than two.
    assert source.dropped == 23 and (first.index, second.index) == (0, 1)
    assert second.pts_seconds - first.pts_seconds == pytest.approx(24 / 50)


def test_after_a_long_stall_it_goes_on_from_there():
    clock = HandClock()
    source = LoopedSource(lambda: PatternSource(64, 48, 50, frames=100), clock=clock)
    frames = iter(source)
    next(frames)
    clock.time += 3600
    later = [next(frames) for _ in range(5)]
    source.close()
    assert source.dropped == 1
    assert later[-1].pts_seconds == pytest.approx(6 / 50)


def test_another_rate_can_be_asked_for():
    clock = HandClock()
    footage = LoopedSource(
        lambda: PatternSource(64, 48, 1, frames=5), rate=Fraction(100), clock=clock
    )
    assert footage.info.rate == 100
    times = [frame.pts_seconds for _, frame in zip(range(12), footage, strict=False)]
    footage.close()
    assert times == pytest.approx([number / 100 for number in range(12)])


def test_closing_ends_the_wait_for_the_next_frame():
    source = LoopedSource(lambda: PatternSource(64, 48, Fraction(1, 1000)))
    came = threading.Event()
    frames: list[Frame] = []

    def iterate() -> None:
        for frame in source:
            frames.append(frame)
            came.set()

    thread = threading.Thread(target=iterate)
    thread.start()
    assert came.wait(60)
    source.close()
    thread.join(60)  # the next frame would be due in a thousand seconds
    assert not thread.is_alive() and len(frames) == 1


def test_footage_without_pictures_is_no_camera():
    source = LoopedSource(lambda: PatternSource(64, 48, 30, frames=0))
    with pytest.raises(SourceError, match="no pictures to play"):
        list(source)
