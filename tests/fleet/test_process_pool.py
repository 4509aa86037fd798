"""Workers that are processes of this machine: real ones, killed and stopped in the middle."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from stream.errors import StreamError, UsageError
from stream.fleet.pool import Lost, Need
from stream.fleet.process_pool import Process, ProcessPool
from stream.fleet.task import Done, Task
from stream.fleet.watched_pool import Gone, Signs
from tests import tiny_models
from tests.fleet import doing
from tests.fleet.clips import make_clips

_GUARD = 120.0
"""Seconds after which a test is over that waits for what does not come."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.bright(tmp_path_factory.mktemp("model") / "bright.onnx", 200)


@contextmanager
def _pool(model: Path | str, need: Need, **more: Callable[[], float]) -> Iterator[ProcessPool]:
    with closing(ProcessPool(doing.a_plan(model, records=False), need, **more)) as pool:
        yield pool


def _begun(pool: ProcessPool, workers: int) -> None:
    """Waits until so many are free."""
    deadline = time.monotonic() + _GUARD
    while pool.free(workers) < workers:
        assert time.monotonic() < deadline
        assert pool.wait(0.2) == []


def _ended(pool: ProcessPool) -> Done | Lost:
    deadline = time.monotonic() + _GUARD
    while not (ended := pool.wait(0.2)):
        assert time.monotonic() < deadline
    return ended[0]


def _stuck_task(folder: Path) -> Task:
    """A file of which nothing comes for as long as nobody writes to it."""
    os.mkfifo(folder / "pipe.mp4")
    return Task(5, str(folder / "pipe.mp4"), (str(folder / "never.mp4"),), serial=5)


def _process(pool: ProcessPool) -> Process:
    (process,) = pool._processes
    return process


def _pid(process: Process) -> int:
    assert process._process is not None
    return process._process.pid


def _event(pool: ProcessPool, kind: type) -> object:
    """What a worker says next; other things are not awaited."""
    process, event = pool._answers.get(timeout=_GUARD)
    assert process in pool._processes and isinstance(event, kind), event
    return event


def test_files_are_done_and_a_killed_worker_is_lost_with_its_own(
    tmp_path: Path, model: Path
) -> None:
    films = sorted(make_clips(tmp_path / "clips", 2).iterdir())
    (tmp_path / "out").mkdir()
    with _pool(model, Need(most=1)) as pool:
        _begun(pool, 1)
        pool.submit(Task(1, str(films[0]), (str(tmp_path / "out/1.mp4"),), serial=1))
        done = _ended(pool)
        assert isinstance(done, Done) and done.error is None and done.frames == 6
        assert (tmp_path / "out/1.mp4").is_file()
        pool.submit(Task(2, str(tmp_path / "none.mp4"), (str(tmp_path / "out/2.mp4"),), serial=2))
        done = _ended(pool)
        assert isinstance(done, Done) and done.error is not None and "none.mp4" in done.error
        pool.submit(_stuck_task(tmp_path))
        psutil.Process(_pid(_process(pool))).kill()
        lost = _ended(pool)
        assert isinstance(lost, Lost) and lost.number == 5 and "SIGKILL" in lost.error
        _begun(pool, 1)  # another one
        assert sum(pool.workers().values()) == 1
        pool.submit(Task(3, str(films[1]), (str(tmp_path / "out/3.mp4"),), serial=3))
        done = _ended(pool)
        assert isinstance(done, Done) and done.error is None


def test_a_stuck_worker_is_ended(tmp_path: Path, model: Path) -> None:
    clock = [0.0]
    with _pool(model, Need(most=1, patience=100.0), clock=lambda: clock[0]) as pool:
        while pool.free(1) < 1:
            clock[0] += 0.3
            assert pool.wait(0.2) == []
            assert clock[0] < 90
        psutil.Process(_pid(_process(pool))).suspend()
        pool.submit(_stuck_task(tmp_path))
        clock[0] += 30
        pool.wait(0.0)  # it is asked, and says nothing
        clock[0] += 80
        lost = _ended(pool)
        assert isinstance(lost, Lost) and "nothing came of it" in lost.error


def test_it_answers_in_the_middle_of_a_file_and_ends_with_its_driver(
    tmp_path: Path, model: Path
) -> None:
    with _pool(model, Need(most=1)) as pool:
        _begun(pool, 1)
        process = _process(pool)
        process.send(_stuck_task(tmp_path))
        process.send(None)
        assert _event(pool, Signs) == Signs(0)
        process._input.close()  # as the system does it where a driver was killed
        assert _event(pool, Gone) == Gone("its process ended with code 0")


def test_a_model_that_cannot_be_loaded_ends_it_with_the_reason(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with _pool(broken, Need(most=1)) as pool:
        pool.free(1)
        with pytest.raises(StreamError, match=r"no worker can begin: .*broken\.onnx"):
            _ended(pool)


def test_where_no_process_can_be_started_that_is_said(
    monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with _pool(model, Need(most=1)) as pool:
        pool.free(1)
        assert pool.wait(0.0) == []
        assert pool._why == "no process can be started (No such file or directory)"


def test_more_cores_than_there_are_are_refused(model: Path) -> None:
    with pytest.raises(UsageError, match="no machine has the 4096 cores"):
        ProcessPool(doing.a_plan(model), Need(cores=4096))
