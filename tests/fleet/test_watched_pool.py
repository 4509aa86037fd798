"""Workers that are started, lost, stuck and replaced, by the tests' own clock and events."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stream.errors import StreamError, UsageError
from stream.fleet.pool import Lost, Need
from stream.fleet.task import Done, Task
from stream.fleet.watched_pool import Event, Gone, Ready, Signs, WatchedPool


class _Pool(WatchedPool[int]):
    """Workers that are numbers; what happens to them is said by the test."""

    def __init__(self, places: int, need: Need, *, alike: bool = False) -> None:
        self.now = 0.0
        super().__init__(need, look_every=1.0, alike=alike, clock=lambda: self.now)
        self.places = places
        self.started = 0
        self.given: list[tuple[int, Task]] = []
        self.asked: list[int] = []
        self.killed: list[int] = []
        self.happens: list[tuple[int, Event]] = []

    def _places(self) -> int:
        return self.places

    def _start(self) -> int:
        self.started += 1
        return self.started

    def _give(self, worker: int, task: Task) -> None:
        self.given.append((worker, task))

    def _ask(self, worker: int) -> None:
        self.asked.append(worker)

    def _kill(self, worker: int) -> None:
        self.killed.append(worker)

    def _events(self, timeout: float) -> list[tuple[int, Event]]:
        found, self.happens = self.happens, []
        return found

    def close(self) -> None:
        return

    def after(self, *happens: tuple[int, Event], seconds: float = 1.0) -> list[Done | Lost]:
        self.now += seconds
        self.happens = list(happens)
        return self.wait(0.0)


def _pool(places: int, *, alike: bool = False, **need: object) -> _Pool:
    return _Pool(places, Need(**need), alike=alike)


def _ready(pool: _Pool, *workers: int) -> None:
    assert pool.after(*((one, Ready("here")) for one in workers)) == []


def _task(number: int) -> Task:
    return Task(number, "film.mp4", ("out.mp4",), serial=number)


def test_as_many_are_started_as_there_are_tasks_and_places() -> None:
    pool = _pool(5)
    assert pool.free(2) == 0 and pool.started == 2
    _ready(pool, 1, 2)
    assert pool.free(2) == 2 and pool.started == 2
    pool.submit(_task(1))
    pool.submit(_task(2))
    pool.now += 1
    # Of a file that was cut there are many tasks all at once.
    assert pool.free(20) == 0 and pool.started == 5
    pool.places = 9
    assert pool.free(20) == 0 and pool.started == 5  # it was looked just now
    pool.now += 1
    assert pool.free(20) == 0 and pool.started == 9


def test_no_more_than_were_asked_for() -> None:
    pool = _pool(5, most=2)
    pool.free(100)
    assert pool.started == 2


def test_what_no_machine_has_is_refused() -> None:
    pool = _pool(0, cores=4, gpus=0.5, memory=3.0)
    with pytest.raises(
        UsageError, match=r"4 cores and 0\.5 GPUs and 3 GiB of memory that a worker"
    ):
        pool._ask_for_room()


def test_a_task_goes_to_a_worker_of_the_machine_that_it_names() -> None:
    pool = _pool(4)
    pool.free(4)
    assert pool.after(*((one, Ready("ab"[one % 2])) for one in (1, 2, 3, 4))) == []
    assert sorted(pool.free_on(4)) == ["a", "a", "b", "b"]
    for number, node in enumerate(["a", "b", "a", "", "b"]):
        if pool.free_on(1):
            pool.submit(replace(_task(number), node=node))
    machines = ["ab"[worker % 2] for worker, _ in pool.given]
    assert machines == ["a", "b", "a", "b"] and pool.free_on(1) == []


def test_a_lost_worker_is_replaced_and_its_task_told() -> None:
    pool = _pool(1)
    pool.free(1)
    _ready(pool, 1)
    pool.submit(_task(7))
    (lost,) = pool.after((1, Gone("the machine burnt")))
    assert lost == Lost(7, "the worker was lost: the machine burnt", serial=7, node="here")
    assert pool.workers() == {}
    assert pool.free(1) == 0 and pool.started == 2
    _ready(pool, 2)
    assert pool.free(1) == 1 and pool.workers() == {"here": 1}


def test_one_that_is_lost_without_a_task_costs_no_file_a_try() -> None:
    pool = _pool(1)
    pool.free(1)
    _ready(pool, 1)
    assert pool.after((1, Gone("the machine burnt"))) == []
    assert pool.free(1) == 0 and pool.started == 2


def test_its_end_told_twice_is_one_loss() -> None:
    pool = _pool(2)
    pool.free(2)
    _ready(pool, 1, 2)
    pool.submit(_task(1))
    lost = pool.after((2, Gone("gone")), (2, Gone("gone")))
    assert len(lost) == 1
    assert pool.after((2, Done(1, "here", 1.0))) == []


def test_a_stuck_worker_is_ended_and_gets_nothing_more() -> None:
    pool = _pool(1, patience=100.0)
    pool.free(1)
    _ready(pool, 1)
    pool.submit(_task(1))
    pool.after(seconds=30)
    assert pool.asked == [1]
    pool.after(seconds=30)
    assert pool.asked == [1]  # it has not answered yet
    pool.after((1, Signs(5)), seconds=30)
    assert pool.asked == [1, 1]
    pool.after((1, Signs(5)), seconds=60)  # as many as before: none
    assert not pool.killed
    pool.after(seconds=50)
    assert pool.killed == [1]
    (lost,) = pool.after((1, Gone("killed")))
    assert isinstance(lost, Lost) and "nothing came of it for 1.66667 minutes" in lost.error


def test_a_driver_that_has_slept_takes_no_worker_for_stuck() -> None:
    """After Ctrl-Z and an hour it has asked nobody, and knows not what they did meanwhile."""
    pool = _pool(1, patience=100.0)
    pool.free(1)
    _ready(pool, 1)
    pool.submit(_task(1))
    pool.after(seconds=3600)
    assert not pool.killed and pool.asked == [1]
    pool.after(seconds=60)
    pool.after(seconds=60)
    assert pool.killed == [1]


def test_one_that_ends_just_as_it_is_ended_is_not_used_again() -> None:
    pool = _pool(1, patience=100.0)
    pool.free(1)
    _ready(pool, 1)
    pool.submit(_task(1))
    pool.after(seconds=60)
    pool.after(seconds=60)
    assert pool.killed == [1]
    done = Done(1, "here", 1.0)
    assert pool.after((1, done), (1, Gone("killed"))) == [done]
    assert pool.free(1) == 0 and pool.started == 2


def test_what_one_of_many_machines_lacks_ends_nothing() -> None:
    pool = _pool(4)
    pool.free(2)
    pool.after((1, Ready("poor", "no such model")), (2, Ready("rich")))
    assert pool.killed == [1]
    assert pool.free(1) == 1


def test_what_all_lack_is_said() -> None:
    pool = _pool(4)
    pool.free(4)
    with pytest.raises(StreamError, match="no worker can begin: no such model"):
        pool.after(*((one, Ready("poor", "no such model")) for one in (1, 2, 3, 4)))


def test_of_workers_that_are_alike_one_answer_is_enough() -> None:
    pool = _pool(4, alike=True)
    pool.free(1)
    with pytest.raises(StreamError, match="no worker can begin: no such model"):
        pool.after((1, Ready("here", "no such model")))


def test_workers_that_die_at_once_are_tried_again_later_and_then_given_up() -> None:
    pool = _pool(1, alike=True)
    pool.free(1)
    pool.after((1, Gone("code 1")))
    pool.after(seconds=1)
    pool.free(1)
    assert pool.started == 1  # not at once
    pool.now += 10
    pool.free(1)
    pool.after((2, Gone("code 1")), seconds=10)
    assert pool.note == "workers cannot begin: code 1"
    pool.now += 10
    pool.free(1)
    assert pool.started == 3
    with pytest.raises(StreamError, match="no worker can begin: code 1"):
        pool.after((3, Gone("code 1")))


def test_films_of_which_nothing_comes_are_named() -> None:
    """As where a storage takes connections and never answers."""
    pool = _pool(3)
    pool.free(3)
    _ready(pool, 1, 2, 3)
    for number, source in enumerate(("s3://me:secret@bucket/a.mp4", "b.mp4", "c.mp4")):
        pool.submit(Task(number, source, ("out.mp4",), serial=number))
    pool.after(seconds=80)
    assert pool.note == ""
    busy = [worker for worker, task in pool.given if task.source != "b.mp4"]
    other = next(worker for worker, task in pool.given if task.source == "b.mp4")
    pool.after((other, Signs(1)), seconds=40)
    assert pool.note.startswith("nothing has come of s3://bucket/a.mp4 and 1 other for 2.0 m")
    pool.after(*((worker, Signs(1)) for worker in busy))
    assert pool.note == ""


def test_without_any_machine_it_ends_in_time() -> None:
    pool = _pool(0, cores=2, patience=60.0)
    pool.free(3)
    pool.after(seconds=20)
    assert pool.note == "no machine has had 2 free cores"
    with pytest.raises(StreamError, match="for 1 minute no machine has had 2 free cores"):
        pool.after(seconds=50)
