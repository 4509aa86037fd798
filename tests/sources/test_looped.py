"""Footage that behaves like a camera."""

from __future__ import annotations

import itertools
import threading
import time
from fractions import Fraction

import pytest

from stream.errors import SourceError
from stream.sources.file import FileSource
from stream.sources.looped import LoopedSource
from stream.sources.pattern import PatternSource
from tests.sources.serving import RATE, make_clip


def test_a_clip_is_played_in_real_time_over_and_over(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", 1)
    source = LoopedSource(lambda: FileSource(clip), rounds=2)
    assert source.info.live and source.info.frames is None and source.info.copied == ()
    began = time.perf_counter()
    frames = list(source)
    assert time.perf_counter() - began == pytest.approx(2, abs=0.5)
    assert len(frames) + source.dropped == 2 * RATE
    times = [frame.seconds for frame in frames]
    gaps = {round(b - a, 3) for a, b in itertools.pairwise(times)}
    assert min(gaps) == 0.04 and (source.dropped or gaps == {0.04})
    assert [frame.index for frame in frames] == list(range(len(frames)))


def test_a_frame_is_born_when_it_is_due():
    source = LoopedSource(lambda: PatternSource(64, 48, 50, frames=10))
    ages = []
    for frame in source:
        ages.append(time.perf_counter() - frame.born)
        if frame.index == 20:
            source.close()
    assert min(ages) >= 0 and sorted(ages)[len(ages) // 2] < 0.02


def test_what_is_not_taken_in_time_is_left_out():
    source = LoopedSource(lambda: PatternSource(64, 48, 50, frames=100))
    frames = iter(source)
    first = next(frames)
    time.sleep(0.5)
    second = next(frames)
    source.close()
    assert source.dropped >= 20
    assert second.seconds - first.seconds > 0.4
    assert time.perf_counter() - second.born < 0.3


def test_another_rate_can_be_asked_for():
    source = LoopedSource(lambda: PatternSource(64, 48, 1, frames=5), rate=Fraction(100))
    assert source.info.rate == 100
    times = [frame.seconds for _, frame in zip(range(12), source, strict=False)]
    source.close()
    assert times[-1] < 0.5


def test_closing_ends_the_wait_for_the_next_frame():
    source = LoopedSource(lambda: PatternSource(64, 48, Fraction(1, 10)))
    threading.Timer(0.2, source.close).start()
    began = time.perf_counter()
    assert len(list(source)) == 1
    assert time.perf_counter() - began < 2


def test_footage_without_pictures_is_no_camera():
    source = LoopedSource(lambda: PatternSource(64, 48, 30, frames=0))
    with pytest.raises(SourceError, match="no pictures to play"):
        list(source)
