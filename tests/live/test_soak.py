"""An hour of a camera with recording: no growth of anything.

    pytest -m soak tests/live/test_soak.py

takes an hour; SOAK_MINUTES=12 makes it shorter (at least 6: memory is compared with that after a
twelfth of the time, five minutes of an hour).
"""

from __future__ import annotations

import gc
import os
import threading
import time
from dataclasses import dataclass
from fractions import Fraction

import av
import psutil
import pytest

from stream.errors import ModelError
from stream.inference.segmenter import Segmenter
from stream.sources.looped import LoopedSource
from stream.sources.pattern import PatternSource
from tests.live.helpers import live_run, recording, segmenter

MINUTES = float(os.environ.get("SOAK_MINUTES", "60"))


@dataclass
class State:
    seconds: float
    memory: int
    threads: int
    files: int


@pytest.mark.soak
@pytest.mark.timeout(int(MINUTES * 60 + 600))
def test_an_hour_costs_no_more_than_a_minute(tmp_path):
    try:
        model = Segmenter.load("default", provider="cpu")
    except ModelError:
        model = segmenter(tmp_path)
    source = LoopedSource(lambda: PatternSource(640, 480, Fraction(30)))
    run, notes = live_run(source, model)
    output = recording(run, tmp_path / "soak.mp4")
    run.add(output)
    process = psutil.Process()
    states: list[State] = []
    began = time.monotonic()

    def watch() -> None:
        passed = time.monotonic() - began
        notes.frames.clear()
        notes.ages.clear()
        if states and passed - states[-1].seconds < 10:
            return
        gc.collect()
        states.append(
            State(passed, process.memory_info().rss, threading.active_count(), process.num_fds())
        )
        if len(states) % 6 == 1:
            state, mib = states[-1], states[-1].memory / 2**20
            counts = run.counts
            print(
                f"{passed:5.0f} s  {mib:.1f} MiB  {state.threads} threads  {state.files} files  "
                f"{counts.frames_out} frames  {counts.dropped} dropped",
                flush=True,
            )
        if passed >= 60 * MINUTES:
            run.stop()

    outcome = run.run(on_tick=watch)
    assert outcome.error is None
    early = next(state for state in states if state.seconds >= 5 * MINUTES)
    last = states[-1]
    assert last.memory < 1.05 * early.memory
    assert (last.threads, last.files) == (early.threads, early.files)
    assert output.figures.frames == outcome.counts.written
    with av.open(str(tmp_path / "soak.mp4")) as container:
        assert float(container.duration / av.time_base) == pytest.approx(60 * MINUTES, rel=0.05)
