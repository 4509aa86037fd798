"""Whole live runs: their threads and queues, a slow model, ends, and what is counted.

Time goes on by steps where a test is about time (`Steps`), so that none depends on how busy the
machine is; by the machine's own clock it is asked for hours (marker `soak`).
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import psutil
import pytest

from stream.timing import CAPTURE_TO_DISPLAY
from tests.cli.conftest import environment
from tests.live.helpers import (
    RATE,
    Scene,
    Slow,
    Steps,
    Thinking,
    live_run,
    recording,
    scene,
    segmenter,
    square_left,
)


@pytest.fixture
def model(tmp_path):
    return segmenter(tmp_path)


def offsets(notes, rate: float = RATE) -> list[float]:
    """By how many pixels the drawn boxes are off, on each frame that has one."""
    found = []
    for seconds, instances in notes.frames:
        if instances is not None and len(instances) == 1:
            left, _, right, _ = instances.boxes[0]
            middle = square_left(round(seconds * rate)) + 30
            found.append(abs(float(left + right) / 2 - middle))
    return found


def through(run, notes) -> bool:
    """Whether all that came has been shown or let go."""
    counts = run.counts
    return len(notes.frames) + counts.dropped >= counts.frames_in


def test_a_fast_model_has_its_say_on_the_very_frame(model):
    steps = Steps()
    # One a second: then it is fast on any machine.
    run, notes = live_run(steps.source(12, Fraction(1)), model)
    answering = run._schedule
    steps.settled = lambda: (
        through(run, notes) and (answering._under_way is None or answering._under_way.future.done())
    )
    outcome = run.run()
    assert outcome.error is None
    counts = outcome.counts
    assert (counts.frames_out, counts.dropped) == (12, 0)
    assert counts.inferred >= 10, "all but the first, of which nobody knew how long it takes"
    # The tiny model sees a picture of 64 pixels: half of one of its pixels is 2.5 of ours.
    assert np.median(offsets(notes, 1)) < 4
    figures = run.clock.figures()
    assert figures[CAPTURE_TO_DISPLAY].frames == counts.frames_out
    assert {"preprocess", "infer", "postprocess", "motion", "composite"} <= set(figures)


def test_a_model_three_times_too_slow_costs_no_frame_and_masks_are_where_objects_are(model):
    steps = Steps()
    run, notes = live_run(steps.source(48), Thinking(model, 3 / RATE, steps))
    steps.settled = lambda: through(run, notes)
    outcome = run.run()
    assert outcome.error is None
    counts = outcome.counts
    assert (counts.frames_out, counts.dropped) == (48, 0)
    # Only until the first answer there is nothing to carry.
    bare = [instances is None for _, instances in notes.frames]
    assert sum(bare) < 8 and not any(bare[bare.index(False) :])
    assert counts.propagated + counts.inferred == 48 - sum(bare)
    # Three frames late and more, a mask left in its place would be off by six pixels and more.
    assert np.median(offsets(notes)) < 5


def test_in_lockstep_with_a_slow_model_each_frame_shown_is_inferred_and_new(model):
    steps, thinking = Steps(), 3 / RATE
    slow = Thinking(model, thinking, steps)
    run, notes = live_run(steps.source(48), slow, every=1)
    ages: list[float] = []
    write = notes.write

    def dated(item) -> None:
        ages.append(steps.now() - item.pts_seconds)
        write(item)

    notes.write = dated
    steps.settled = lambda: (
        len(notes.frames) >= slow.answers and (steps.thinking or through(run, notes))
    )
    outcome = run.run()
    assert outcome.error is None
    counts = outcome.counts
    assert counts.propagated == 0 and counts.inferred == counts.frames_out
    assert 12 <= counts.frames_out <= 17, "one of three, as it takes so long"
    assert counts.frames_out + counts.dropped == counts.frames_in == 48
    assert max(ages) < 2 * thinking
    assert np.median(offsets(notes)) < 4


def check_carried(notes, outcome, thinking, seconds) -> None:
    """The display goes at the camera's rate, with masks where the object is by now."""
    counts = outcome.counts
    assert counts.frames_out + counts.dropped == pytest.approx(seconds * RATE, rel=0.25)
    assert counts.frames_out > 0.95 * seconds * RATE
    assert notes.age(0.95) < 2 * thinking
    assert counts.propagated > 0.9 * counts.frames_out
    assert np.median(offsets(notes)) < 5


def check_lockstep(notes, outcome, thinking, seconds) -> None:
    """Each frame shown is inferred; what comes meanwhile is dropped and counted."""
    counts = outcome.counts
    assert counts.propagated == 0 and counts.inferred == counts.frames_out
    assert notes.age(0.95) < 2 * thinking
    assert counts.dropped > counts.frames_out
    assert counts.frames_out <= seconds / thinking + 2
    assert np.median(offsets(notes)) < 4


@pytest.mark.soak
@pytest.mark.timeout(1000)
@pytest.mark.parametrize(("every", "check"), [(None, check_carried), (1, check_lockstep)])
def test_for_ten_minutes_a_slow_model_costs_no_latency_and_no_memory(model, every, check):
    thinking = 3 / RATE
    run, notes = live_run(scene(), Slow(model, thinking), every=every)
    memory: list[tuple[float, int]] = []
    began = time.perf_counter()

    def watch() -> None:
        if not memory or time.perf_counter() - began - memory[-1][0] > 5:
            notes.frames = notes.frames[-2000:]
            memory.append((time.perf_counter() - began, psutil.Process().memory_info().rss))
            if memory[-1][0] > 600:
                run.stop()

    outcome = run.run(on_tick=watch)
    check(notes, outcome, thinking, 600)
    after_a_minute = next(rss for seconds, rss in memory if seconds > 60)
    assert memory[-1][1] < 1.05 * after_a_minute


def short_run_memory(folder: Path) -> tuple[list[int], int]:
    """Resident bytes as a short run goes on, and the most items its first queue held."""
    run, notes = live_run(scene(), Slow(segmenter(folder), 3 / RATE))
    memory: list[int] = []

    def watch() -> None:
        gc.collect()
        memory.append(psutil.Process().memory_info().rss)
        notes.frames.clear()
        if len(memory) > 25:
            run.stop()

    outcome = run.run(on_tick=watch)
    assert outcome.error is None
    return memory, outcome.queues[0]["high_water"]


@pytest.mark.slow
def test_nothing_grows_in_a_short_run(tmp_path):
    # In a process of its own: this one's memory is moved by all the tests that ran before.
    script = (
        "import json, pathlib, sys; from tests.live.test_run import short_run_memory; "
        "print(json.dumps(short_run_memory(pathlib.Path(sys.argv[1]))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    memory, high_water = json.loads(done.stdout)
    assert memory[-1] - memory[8] < 6 * 2**20
    assert high_water == 1


def test_an_error_of_the_source_ends_the_run_and_is_told(model):
    run, _ = live_run(scene(fail_at=10), model)
    outcome = run.run()
    assert isinstance(outcome.error, RuntimeError) and not outcome.interrupted
    assert outcome.counts.frames_in == 10


def test_an_error_of_the_model_ends_the_run_and_is_told(model):
    class Broken(Slow):
        def infer(self, prepared):
            raise RuntimeError("the model broke")

    run, _ = live_run(scene(), Broken(model, 0))
    outcome = run.run()
    assert str(outcome.error) == "the model broke"
    check_every_frame_counts_once(outcome)


def test_a_source_that_ends_ends_the_run(model):
    source = scene(frames=20)
    source._rounds = 1
    run, _ = live_run(source, model)
    outcome = run.run()
    assert outcome.error is None and not outcome.interrupted
    assert outcome.counts.frames_in == 20
    check_every_frame_counts_once(outcome)


def check_every_frame_counts_once(outcome) -> None:
    counts = outcome.counts
    assert counts.frames_in > 0
    assert counts.frames_in == counts.frames_out + counts.dropped
    # Until the first inference is done there is nothing to carry.
    assert counts.inferred + counts.propagated <= counts.frames_out


class Busy(type(scene())):
    """A source that lets pictures go by itself, since nobody takes them in time."""

    def __iter__(self):
        for number, frame in enumerate(super().__iter__()):
            if number % 4:
                self.dropped += 1
            else:
                yield frame


@pytest.mark.parametrize(
    ("end", "recorded"),
    [
        *(("source", True), ("stop", False), ("abort", True)),
        *(
            pytest.param(*other, marks=pytest.mark.slow)
            for other in (("source", False), ("stop", True), ("abort", False))
        ),
    ],
)
def test_every_frame_of_the_source_counts_once(model, tmp_path, recorded, end):
    source = Busy(lambda: Scene(frames=80 if end == "source" else 10**6))
    source._rounds = 1
    run, notes = live_run(source, Slow(model, 2 / RATE))
    if recorded:
        run.add(recording(run, tmp_path / "it.mkv"))

    def watch() -> None:
        if end != "source" and len(notes.frames) > 10:
            run.abort() if end == "abort" else run.stop()

    outcome = run.run(on_tick=watch)
    assert outcome.error is None
    check_every_frame_counts_once(outcome)
    counts = outcome.counts
    assert counts.dropped >= source.dropped > 0
    assert counts.inferred + counts.propagated > 0
    if recorded:
        assert counts.written == run.outputs[1].figures.frames
    else:
        assert counts.shown == len(notes.frames)
