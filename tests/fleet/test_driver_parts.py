"""The driver with files that are cut: every step after the one before it, whatever goes wrong."""

from __future__ import annotations

import itertools
import random
from collections import Counter, deque
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stream.fleet.driver import MOST_LOST, Driver
from stream.fleet.entries import Entry, State, Wanted
from stream.fleet.ledger import Ledger
from stream.fleet.litter import tidy
from stream.fleet.parts import PartKey, Step
from stream.fleet.pool import Lost, Pool
from stream.fleet.task import Done, Task
from stream.fleet.transit import Result, parts_folder

_BEFORE = {
    Step.FIND: (), Step.FOLLOW: (Step.FIND,), Step.PAINT: (Step.FIND, Step.FOLLOW),
    Step.JOIN: (Step.PAINT,), Step.WHOLE: (Step.FIND,),
}  # fmt: skip


class _Workers(Pool):
    """Workers of which a plan says what becomes of the next tasks: ok, bad, lost, gone, whole."""

    def __init__(self, parts: dict[str, int], plan: list[str], seed: int, count: int = 3) -> None:
        self._parts = parts
        self._plan = deque(plan)
        self._count = count
        self._random = random.Random(seed)
        self.busy: list[Task] = []
        self.done: dict[str, Counter[PartKey]] = {name: Counter() for name in parts}
        self.published: Counter[str] = Counter()
        self.eras: Counter[str] = Counter()  # how often all was gone
        self.era: dict[int, int] = {}
        self.after: int | None = None  # so many ends until everything is killed
        self.driver: Driver | None = None

    def free(self, tasks: int) -> int:
        return self._count - len(self.busy)

    def submit(self, task: Task) -> None:
        assert self.free(1) > 0
        if task.part is not None:
            count = self._parts[task.source]
            assert task.part.begins == tuple(range(0, 10 * count, 10))
            done = self.done[task.source]
            for step in _BEFORE[task.part.key.step]:
                places = range(1 if step == Step.FOLLOW else count)
                assert all(done[PartKey(step, place)] for place in places), (task, done)
            if task.part.key.step == Step.PAINT:
                assert task.part.frames == tuple(range(5, 5 + count))
        self.busy.append(task)
        self.era[task.serial] = self.eras[task.source]

    def wait(self, timeout: float) -> list[Done | Lost]:
        if not self.busy:
            return []
        if self.after is not None:
            self.after -= 1
            if self.after < 0:
                assert self.driver is not None
                self.driver.abort()
                return []
        task = self.busy.pop(self._random.randrange(len(self.busy)))
        what = self._plan.popleft() if self._plan else "ok"
        if what == "lost":
            return [Lost(task.number, "the worker was lost", task.key, task.serial)]
        done = Done(task.number, "here", 0.5, key=task.key, serial=task.serial)
        if self.era[task.serial] != self.eras[task.source]:
            return [done]
        if what == "bad":
            return [_with(done, error="it is damaged")]
        if task.part is None:
            count = self._parts[task.source]
            if count > 1:
                begins = tuple(range(0, 10 * count, 10))
                return [_with(done, begins=begins, version=f"film {self.eras[task.source]}")]
            self.published[task.source] += 1
            return [_with(done, frames=10)]
        key = task.part.key
        if what == "gone" and key.step != Step.FIND:
            self.done[task.source].clear()
            self.eras[task.source] += 1
            return [_with(done, error="found-0.kept is gone", lost=True)]
        if what == "whole" and key.step in (Step.FOLLOW, Step.PAINT, Step.JOIN):
            self.done[task.source][key] += 1
            return [_with(done, whole=True, remark="painted at once: it had to be")]
        self.done[task.source][key] += 1
        if key.step in (Step.JOIN, Step.WHOLE):
            self.published[task.source] += 1
        return [_with(done, frames=5 + key.place)]

    def workers(self) -> dict[str, int]:
        return {"here": self._count}

    def close(self) -> None:
        return


def _with(done: Done, **changes) -> Done:
    return replace(done, **changes)


def _ledger(folder: Path, names: list[str]) -> Ledger:
    ledger = Ledger(folder / "ledger.sqlite")
    ledger.want([Wanted(name, (str(folder / "out" / name),), "1", "o") for name in names])
    return ledger


def _drive(ledger: Ledger, pool: _Workers, retries: int = 2):
    clock = itertools.count()
    pool.driver = Driver(
        ledger, pool, retries=retries, split=60.0, clock=lambda: float(next(clock))
    )
    return pool.driver.run([one.number for one in ledger.entries()])


FATES = some.lists(some.sampled_from(["ok", "ok", "bad", "lost", "gone", "whole"]), max_size=40)


@given(some.lists(some.integers(1, 4), min_size=1, max_size=4), FATES, some.integers(0, 999))
def test_every_file_is_published_once_or_failed_and_steps_keep_their_order(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], fates: list[str], seed: int
) -> None:
    parts = {f"{place}.mp4": count for place, count in enumerate(counts)}
    pool = _Workers(parts, fates, seed)
    ledger = _ledger(tmp_path_factory.mktemp("fleet"), list(parts))
    progress = _drive(ledger, pool)
    entries = ledger.entries()
    ledger.close()
    for entry in entries:
        assert entry.state in (State.DONE, State.FAILED)
        assert pool.published[entry.wanted.source] == (entry.state == State.DONE)
        assert bool(entry.error) == (entry.state == State.FAILED)
    assert progress.done == pool.published.total()
    assert progress.done + progress.failed == len(parts)


@given(
    some.lists(some.integers(1, 4), min_size=1, max_size=3),
    some.lists(some.integers(0, 12), min_size=1, max_size=4),
    some.sampled_from([[], ["ok"] * 6 + ["whole"]]),
    some.integers(0, 999),
)
def test_a_driver_that_is_killed_goes_on_and_does_nothing_again_that_was_done(
    tmp_path_factory: pytest.TempPathFactory,
    counts: list[int],
    kills: list[int],
    fates: list[str],
    seed: int,
) -> None:
    parts = {f"{place}.mp4": count for place, count in enumerate(counts)}
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "out").mkdir()
    pool = _Workers(parts, fates, seed)
    ledger = _ledger(folder, list(parts))
    for after in kills:
        pool.after, pool.busy = after, []
        _drive(ledger, pool)
        _leave_halves(pool.busy)
        ledger.close()
        ledger = _ledger(folder, list(parts))  # another driver; all is wanted once more
    pool.after, pool.busy = None, []
    _drive(ledger, pool)
    assert all(one.state == State.DONE for one in ledger.entries())
    ledger.close()
    assert pool.published == Counter(parts.keys())
    assert all(count == 1 for done in pool.done.values() for count in done.values())
    assert list((folder / "out").iterdir()) == []


def _leave_halves(tasks: list[Task]) -> None:
    """Leaves beside the results what is left of tasks whose workers went with their driver."""
    for task in tasks:
        if task.key is None or not task.key.of_each:
            Result(task.targets[0], task.number, Path()).open().write_bytes(b"half")


def test_a_film_that_was_replaced_between_its_parts_is_begun_anew_and_that_is_said(
    tmp_path: Path,
) -> None:
    pool = _Workers({"a": 2}, ["ok"] * 3 + ["gone"], seed=1, count=1)
    folders: dict[str, str] = {}
    submit = pool.submit

    def seen(task: Task) -> None:
        if task.part is not None:
            folders.setdefault(task.part.version, task.part.folder)
            assert folders[task.part.version] == task.part.folder
        submit(task)

    pool.submit = seen
    ledger = _ledger(tmp_path, ["a"])
    for after in (2, None):  # killed within the first version's parts, which the ledger knows
        pool.after, pool.busy = after, []
        _drive(ledger, pool)
        (entry,) = ledger.entries()
        ledger.want([entry.wanted])
    assert entry.state == State.DONE and pool.published["a"] == 1
    assert entry.remark == "begun anew: found-0.kept is gone"
    assert list(folders) == ["film 0", "film 1"] and len(set(folders.values())) == 2
    assert ledger.version(entry.number) == "film 1"
    ledger.close()


def test_a_part_that_fails_ends_its_file_and_the_next_run_does_the_rest(tmp_path: Path) -> None:
    pool = _Workers({"a": 3}, ["ok", "ok", "bad", "ok"], seed=1, count=1)
    ledger = _ledger(tmp_path, ["a"])
    progress = _drive(ledger, pool, retries=0)
    (entry,) = ledger.entries()
    assert progress.failed == 1 and entry.state == State.FAILED
    assert entry.error.startswith("find ") and entry.error.endswith(" of 3: it is damaged")
    done = sum(one.state == State.DONE for one in ledger.parts_of(entry.number))
    assert done == 1
    ledger.want([entry.wanted])
    _drive(ledger, pool)
    assert ledger.entries()[0].state == State.DONE
    assert all(count == 1 for count in pool.done["a"].values())
    ledger.close()


def test_parts_of_a_file_that_changed_are_forgotten(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path, ["a", "b"])
    for entry in ledger.entries():
        ledger.cut(entry.number, (0, 10))
        ledger.done(entry.number, seconds=1, frames=5, node="here", key=PartKey(Step.FIND, 0))
    first, second = ledger.entries()
    ledger.want([replace(first.wanted, fingerprint="2"), second.wanted])
    assert ledger.parts_of(first.number) == []
    states = [one.state for one in ledger.parts_of(second.number)]
    assert states == [State.DONE, State.WAITING]
    ledger.close()


def _leave_parts(entry: Entry) -> Path:
    """The folder of a file's parts, with what one of them has left."""
    wanted = entry.wanted
    of = parts_folder(wanted.targets[0], entry.number, wanted.fingerprint, wanted.options)
    folder = Path(of)
    folder.mkdir(parents=True)
    (folder / "found-0.kept").write_bytes(b"objects")
    return folder


class _KilledBeforeRemovingError(Exception):
    pass


def test_what_parts_left_goes_also_where_the_driver_was_killed_before_it_removed_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the ledger's word that a file is done and the removal of what its parts left."""
    ledger = _ledger(tmp_path, ["a", "b"])
    left = [_leave_parts(entry) for entry in ledger.entries()]

    def killed(*_: object) -> None:
        raise _KilledBeforeRemovingError

    with monkeypatch.context() as patched:
        patched.setattr("stream.fleet.litter.remove_parts", killed)
        pool = _Workers({"a": 2, "b": 2}, [], seed=1, count=1)
        with pytest.raises(_KilledBeforeRemovingError):
            _drive(ledger, pool)
    ledger.close()
    ledger = _ledger(tmp_path, ["a", "b"])
    (done,) = ledger.entries(State.DONE)
    assert all(folder.is_dir() for folder in left)
    tidy(ledger)
    # The other's are still of use.
    assert [folder.is_dir() for folder in left] == [done.number != 1, done.number != 2]
    assert ledger.litter() == []
    ledger.close()


def test_what_parts_left_goes_where_their_file_has_changed_and_is_done_at_once(
    tmp_path: Path,
) -> None:
    ledger = _ledger(tmp_path, ["changed", "gone", "elsewhere", "same"])
    left = {}
    for entry in ledger.entries():
        ledger.cut(entry.number, (0, 10))
        left[entry.wanted.source] = _leave_parts(entry)
    changed, _, elsewhere, _ = (entry.wanted for entry in ledger.entries())
    target = str(tmp_path / "out" / "elsewhere.webm")
    ledger.want([replace(changed, fingerprint="2"), replace(elsewhere, targets=(target,))])
    ledger.forget(["gone"])
    tidy(ledger)
    assert [name for name, folder in left.items() if folder.is_dir()] == ["same"]
    assert ledger.litter() == []
    ledger.close()


def test_what_a_worker_may_still_write_for_nothing_stays_written_down(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path, ["a"])
    (entry,) = ledger.entries()
    ledger.useless(entry.number)
    for stray in ([entry.number], []):
        folder = _leave_parts(entry)
        tidy(ledger, stray)
        assert not folder.is_dir()
        assert bool(ledger.litter()) == bool(stray)
    ledger.close()


def test_a_worker_that_is_lost_with_a_part_often_ends_its_file(tmp_path: Path) -> None:
    pool = _Workers({"a": 2}, ["ok", *["lost"] * 20], seed=1, count=1)
    ledger = _ledger(tmp_path, ["a"])
    assert _drive(ledger, pool).failed == 1
    (entry,) = ledger.entries()
    assert max(one.lost for one in ledger.parts_of(entry.number)) == MOST_LOST
    ledger.close()


def test_a_ledger_of_before_there_were_parts_is_read_and_taken_over(tmp_path: Path) -> None:
    import sqlite3

    ledger = _ledger(tmp_path, ["a"])
    ledger.close()
    with sqlite3.connect(ledger.path) as base:
        base.executescript("DROP TABLE parts; DROP TABLE remarks; PRAGMA user_version=1;")
    base.close()
    reader = Ledger(ledger.path, reading=True)
    assert len(reader.entries()) == 1 and reader.parts() == {}
    reader.close()
    again = _ledger(tmp_path, ["a"])
    again.remark(1, "not cut: it is short")
    assert again.entries()[0].remark == "not cut: it is short" and again.parts() == {}
    again.close()


def test_remarks_add_up_and_go_with_what_they_were_said_of(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path, ["a", "b"])
    ledger.remark(1, "not cut: it is short")
    ledger.remark(1, "3 damaged frames", further=True)
    ledger.remark(1, "3 damaged frames", further=True)
    ledger.remark(2, "", further=True)
    said = "not cut: it is short; 3 damaged frames"
    assert [one.remark for one in ledger.each()] == [said, ""]
    ledger.remark(1, "")
    assert [one.remark for one in ledger.each()] == ["", ""]
    ledger.remark(2, "cut short")
    ledger.cut(2, [0, 5])
    ledger.forget(["b"])
    assert [one.wanted.source for one in ledger.each()] == ["a"]
    assert ledger.parts() == {}
    ledger.close()
