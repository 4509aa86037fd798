"""The driver, against workers that fail, die and come back in every order."""

from __future__ import annotations

import itertools
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stream.errors import StreamError
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


class _Machines(Pool):
    """Machines of which some fail with every file at once, or lose the worker with it.

    A good one takes as long with a file as they take with ten.
    """

    def __init__(self, good: list[str], bad: list[str], poison: set[str], *, lost: bool) -> None:
        self._good, self._poison, self._lost = good, poison, lost
        self._all = [*good, *bad]
        self._busy: dict[str, Task] = {}
        self._turn = 0
        self.tried: list[tuple[str, str]] = []

    def free(self, tasks: int) -> int:
        raise AssertionError("the driver asks where")

    def free_on(self, tasks: int) -> list[str]:
        return [node for node in reversed(self._all) if node not in self._busy]

    def submit(self, task: Task) -> None:
        assert task.node not in self._busy
        self._busy[task.node] = task
        self.tried.append((task.source, task.node))

    def wait(self, timeout: float) -> list[Done | Lost]:
        self._turn += 1
        ended: list[Done | Lost] = []
        for node, task in list(self._busy.items()):
            if node not in self._good:
                del self._busy[node]
                if self._lost:
                    ended.append(Lost(task.number, "no memory", serial=task.serial, node=node))
                    continue
                why = "no space left"
            elif self._turn % 10 == 0:
                del self._busy[node]
                why = "it is damaged" if task.source in self._poison else None
            else:
                continue
            done = Done(task.number, node, 0.1, frames=1, error=why, serial=task.serial)
            ended.append(replace(done, unplaced=node not in self._good))
        return ended

    def workers(self) -> dict[str, int]:
        return dict.fromkeys(self._all, 1)

    def close(self) -> None:
        return


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize(("good", "bad"), [("ab", "xyz"), ("a", "x"), ("abc", "vwxyz")])
def test_machines_that_fail_with_everything_do_not_fail_the_archive(
    good: str, bad: str, lost: bool, tmp_path: Path
) -> None:
    """A full disk, or a folder that is not there, fails in no time, and takes the next file."""
    names = [f"{place}.mp4" for place in range(30)]
    ledger = _ledger(tmp_path, names)
    pool = _Machines(list(good), list(bad), {"7.mp4"}, lost=lost)
    driver, _ = _drive(ledger, pool, retries=2)
    failed = [one.wanted.source for one in ledger.entries() if one.state != State.DONE]
    ledger.close()
    assert failed == ["7.mp4"]
    # Each machine that is bad gets each file once, and nothing again once it is doubted.
    tried = Counter(one for one in pool.tried if one[1] in bad and one[0] != "7.mp4")
    assert max(tried.values()) == 1
    assert Counter(source for source, _ in pool.tried)["7.mp4"] >= 3
    why = "no memory" if lost else "no space left"
    assert [one[0] for one in driver.doubted] == sorted(bad)
    assert all(one.endswith(f"others were given them: {why}") for one in driver.doubted)


def test_an_archive_that_fails_everywhere_is_tried_as_often_as_asked(tmp_path: Path) -> None:
    names = [f"{place}.mp4" for place in range(20)]
    ledger = _ledger(tmp_path, names)
    pool = _Machines([], ["x", "y"], set(), lost=False)
    driver, progress = _drive(ledger, pool, retries=2)
    ledger.close()
    assert progress.failed == 20 and driver.doubted == []
    assert set(Counter(source for source, _ in pool.tried).values()) == {3}


class _Bucket(Pool):
    """Workers that end all at once, whose results a bucket takes or not, or gives films to."""

    def __init__(self, count: int, takes: Callable[[int], bool], what: str = "unplaced") -> None:
        self._count, self._takes, self._what = count, takes, what
        self._busy: list[Task] = []
        self.made = 0
        self.most: list[int] = []

    def free(self, tasks: int) -> int:
        return self._count - len(self._busy)

    def submit(self, task: Task) -> None:
        self._busy.append(task)

    def wait(self, timeout: float) -> list[Done | Lost]:
        ended, self._busy = self._busy, []
        self.most += [len(ended)] if ended else []
        self.made += len(ended)
        why = None if self._takes(self.made) else "b/a.mp4 cannot be had: ExpiredToken"
        failed = {self._what: bool(why)}
        return [
            Done(one.number, "", 0.1, frames=1, error=why, serial=one.serial, **failed)
            for one in ended
        ]

    def workers(self) -> dict[str, int]:
        return {"here": self._count}

    def close(self) -> None:
        return


@pytest.mark.parametrize(
    ("what", "said", "noted"),
    [
        ("unplaced", "no result could be put", "films cannot have their results put in"),
        ("unfetched", "no film could be fetched", "films cannot be fetched"),
    ],
)
def test_a_bucket_that_takes_or_gives_nothing_more_does_not_let_every_film_fail(
    what: str, said: str, noted: str, tmp_path: Path
) -> None:
    names = [f"{place}.mp4" for place in range(1000)]
    ledger = _ledger(tmp_path, names)
    pool = _Bucket(4, lambda made: made <= 20, what)
    notes: list[str] = []
    with pytest.raises(StreamError, match=f"{said} .*for 10 minutes.*ExpiredToken"):
        _drive(ledger, pool, patience=600.0, on_progress=lambda one: notes.append(one.note))
    counts = ledger.counts()
    ledger.close()
    # Ten at least, of all workers at once; then one a minute, ever more seldom.
    assert pool.made < 20 + 12 + 20 and set(pool.most[9:]) == {1}
    assert counts[State.DONE] == 20 and counts[State.FAILED] == 0
    assert notes[-1].startswith(noted)
    assert notes[-1].endswith("so one is tried at a time: b/a.mp4 cannot be had: ExpiredToken")


def test_a_storage_that_comes_back_is_given_all_again(tmp_path: Path) -> None:
    names = [f"{place}.mp4" for place in range(100)]
    ledger = _ledger(tmp_path, names)
    pool = _Bucket(4, lambda made: not 20 < made <= 35, "unfetched")
    _, progress = _drive(ledger, pool, patience=600.0)
    ledger.close()
    assert progress.done == 100 and progress.failed == 0
    assert 1 in pool.most and 4 in pool.most[pool.most.index(1) :]
