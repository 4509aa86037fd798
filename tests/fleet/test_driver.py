"""The driver, against workers that fail, die and come back in every order."""

from __future__ import annotations

import itertools
import random
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stream.fleet.driver import MOST_LOST, Driver
from stream.fleet.entries import State, Wanted
from stream.fleet.ledger import Ledger
from stream.fleet.pool import Lost, Pool
from stream.fleet.task import Done, Task


class _Workers(Pool):
    """Workers of which a plan says what becomes of each try of a file: "ok", "bad", "lost"."""

    def __init__(self, plans: dict[str, list[str]], count: int = 2, seed: int = 0) -> None:
        self._plans = {name: deque(plan) for name, plan in plans.items()}
        self._count = count
        self._random = random.Random(seed)
        self._busy: list[Task] = []
        self.tries: list[str] = []
        self.published: list[str] = []

    def free(self, tasks: int) -> int:
        return self._count - len(self._busy)

    def submit(self, task: Task) -> None:
        assert self.free(1) > 0
        self._busy.append(task)
        self.tries.append(task.source)

    def wait(self, timeout: float) -> list[Done | Lost]:
        if not self._busy:
            return []
        task = self._busy.pop(self._random.randrange(len(self._busy)))
        plan = self._plans[task.source]
        what = plan.popleft() if plan else "ok"
        if what == "lost":
            return [Lost(task.number, "the worker was lost", serial=task.serial)]
        if what == "bad":
            return [Done(task.number, "here", 0.1, error="it is damaged", serial=task.serial)]
        self.published.append(task.source)
        return [Done(task.number, "here", 0.1, frames=10, serial=task.serial)]

    def workers(self) -> dict[str, int]:
        return {"here": self._count}

    def close(self) -> None:
        return


def _ledger(folder: Path, names: list[str]) -> Ledger:
    ledger = Ledger(folder / "ledger.sqlite")
    ledger.want([Wanted(name, (str(folder / "out" / name),), "1", "o") for name in names])
    return ledger


def _drive(ledger: Ledger, pool: Pool, retries: int = 2, **more):
    clock = itertools.count()
    driver = Driver(ledger, pool, retries=retries, clock=lambda: float(next(clock)), **more)
    return driver, driver.run([one.number for one in ledger.entries()])


PLANS = some.lists(
    some.lists(some.sampled_from(["ok", "bad", "lost"]), max_size=8), min_size=1, max_size=8
)


@given(PLANS, some.integers(1, 4), some.integers(0, 3), some.integers(0, 1000))
def test_every_file_is_published_once_or_said_to_have_failed(
    tmp_path_factory: pytest.TempPathFactory,
    plans: list[list[str]],
    workers: int,
    retries: int,
    seed: int,
) -> None:
    folder = tmp_path_factory.mktemp("fleet")
    names = {f"{place}.mp4": plan for place, plan in enumerate(plans)}
    pool = _Workers(names, workers, seed)
    ledger = _ledger(folder, list(names))
    _, progress = _drive(ledger, pool, retries)
    entries = ledger.entries()
    ledger.close()
    for entry in entries:
        tried = [*names[entry.wanted.source], "ok"]
        good = tried.index("ok")
        expected = tried[:good].count("bad") <= retries and tried[:good].count("lost") < MOST_LOST
        assert entry.state == (State.DONE if expected else State.FAILED)
        assert pool.published.count(entry.wanted.source) == expected
        assert bool(entry.error) != expected
    assert progress.done == len(pool.published)
    assert progress.done + progress.failed == len(plans)
    assert progress.frames == 10 * progress.done


def test_poisoned_files_wait_for_the_others_and_lost_ones_come_first(tmp_path: Path) -> None:
    pool = _Workers({"poison": ["bad"] * 9, "lost": ["lost"], "a": [], "b": []}, count=1)
    ledger = _ledger(tmp_path, ["poison", "lost", "a", "b"])
    _drive(ledger, pool, retries=1)
    ledger.close()
    assert pool.tries == ["poison", "lost", "lost", "a", "b", "poison"]


def test_stopping_finishes_what_is_on_its_way_and_the_next_driver_goes_on(tmp_path: Path) -> None:
    names = [f"{place}.mp4" for place in range(10)]
    ledger = _ledger(tmp_path, names)
    pool = _Workers({name: [] for name in names}, count=2)
    drivers: list[Driver] = []

    def stop_after_three(progress) -> None:
        if progress.done >= 3:
            drivers[0].stop()

    clock = itertools.count()
    driver = Driver(
        ledger, pool, retries=0, on_progress=stop_after_three, clock=lambda: float(next(clock))
    )
    drivers.append(driver)
    driver.run([one.number for one in ledger.entries()])
    assert driver.interrupted
    counts = ledger.counts()
    assert counts[State.RUNNING] == 0 and 3 <= counts[State.DONE] <= 5
    ledger.want([one.wanted for one in ledger.entries()])
    second, progress = _drive(ledger, pool)
    ledger.close()
    assert not second.interrupted and progress.done == 10
    assert sorted(pool.published) == sorted(names)


def test_what_a_lost_worker_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    ledger = _ledger(tmp_path, ["a.mp4"])
    number = ledger.entries()[0].number
    ledger.begin(number)
    ledger.want([ledger.entries()[0].wanted])
    left = tmp_path / "out" / f".a.fleet-partial-{number}-0badcafe.mp4"
    others = [
        tmp_path / "out" / f".a.fleet-partial-{number}0-0badcafe.mp4",
        tmp_path / "out" / "b.mp4",
    ]
    for path in (left, *others):
        path.touch()
    _drive(ledger, _Workers({"a.mp4": []}))
    ledger.close()
    assert not left.exists() and all(path.exists() for path in others)
