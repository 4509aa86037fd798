"""Fleets in thought, and what an hour costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.bench import cost
from stream.bench.fleet import ThoughtOf
from stream.bench.material import make_clip
from stream.errors import UsageError
from stream.fleet.driver import Driver
from stream.fleet.entries import State, Wanted
from stream.fleet.ledger import Ledger
from tests import tiny_models


@pytest.mark.parametrize("cut", [False, True])
def test_workers_that_are_thought_of_do_everything_in_their_own_time(
    tmp_path: Path, cut: bool
) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.want([Wanted(f"/in/{n}", (f"/out/{n}.mp4",), "1", "o") for n in range(20)])
    pool = ThoughtOf(10, 1000.0, cut=cut)
    driver = Driver(ledger, pool, retries=0, split=60.0 if cut else None)
    progress = driver.run([one.number for one in ledger.each()])
    cuts = ledger.parts()
    counts = ledger.counts()
    ledger.close()
    assert counts[State.DONE] == progress.done == 20
    # Each tenth is cut: once into six, then six of two steps and two of all together.
    assert pool.done == (20 + 2 * 14 if cut else 20)
    assert sorted(cuts) == ([10, 20] if cut else [])
    assert pool.now > 1000
    assert 0 < pool.busy_share <= 1


def test_an_hour_is_said_in_core_hours_and_at_prices(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    make_clip(clip, 64, 48, 30)
    model = tiny_models.bright(tmp_path / "bright.onnx", 200)
    (figure,) = cost.measure(tmp_path, str(model), "cpu", [clip])
    assert figure.value is not None and 0 < figure.value < 2
    assert figure.unit == "core-hours"
    assert "30 frames" in figure.detail and "at 0.04" in figure.detail
    with pytest.raises(UsageError, match="--clips"):
        next(cost.measure(tmp_path, str(model), "cpu", []))
