"""An inference that is waited for has both cores, where there are two."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from typing import Any

import pytest

from stream.inference.two_cores import Cores, cores_of, on_two_cores

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="threads are put on cores on Linux only")


class Thread:
    """The thread that asks, and which cores it may use."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cores: set[int]) -> None:
        self.cores, self.taken = cores, set[int]()
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(self.cores), raising=False)
        monkeypatch.setattr(os, "sched_setaffinity", self.put, raising=False)

    def put(self, _: int, cores: Any) -> None:
        if set(cores) <= self.taken:
            raise OSError(22, "Invalid argument")
        self.cores = set(cores)


class Session:
    """Says where it runs."""

    def __init__(self, thread: Thread) -> None:
        self.thread = thread

    def run(self, outputs: Any, inputs: Mapping[str, Any]) -> list[Any]:
        if not inputs:
            raise ValueError("nothing comes in")
        return [self.thread.cores, outputs]

    def get_providers(self) -> list[str]:
        return ["here"]


@pytest.mark.parametrize(
    ("cores", "threads", "wanted"),
    [
        ({0, 1}, 2, Cores(0, 1)),
        ({9, 5}, 2, Cores(5, 9)),
        ({0, 1}, 1, None),
        ({0, 1}, 4, None),
        ({0}, 2, None),
        ({0, 1, 2, 3}, 2, None),
    ],
)
def test_two_threads_have_a_core_each_where_there_are_two(
    monkeypatch: pytest.MonkeyPatch, cores: set[int], threads: int, wanted: Cores | None
) -> None:
    Thread(monkeypatch, cores)
    assert cores_of(threads) == wanted
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cores_of(threads) is None


def test_who_asks_stays_on_its_core_meanwhile_and_errors_come_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    thread = Thread(monkeypatch, {5, 9})
    session: Any = on_two_cores(lambda fixed: Session(thread), Cores(5, 9))({})  # type: ignore[arg-type, return-value]
    assert session.run(["boxes"], {"image": 1}) == [{5}, ["boxes"]]
    assert thread.cores == {5, 9}
    with pytest.raises(ValueError, match="nothing comes in"):
        session.run(None, {})
    assert thread.cores == {5, 9}
    assert session.get_providers() == ["here"]


def test_a_thread_that_was_put_on_cores_stays_there(monkeypatch: pytest.MonkeyPatch) -> None:
    thread = Thread(monkeypatch, {9})
    session: Any = on_two_cores(lambda fixed: Session(thread), Cores(5, 9))({})  # type: ignore[arg-type, return-value]
    assert session.run(None, {"image": 1}) == [{9}, None]
    # The core was taken from the process since.
    thread.cores, thread.taken = {5, 9}, {5}
    assert session.run(None, {"image": 1}) == [{5, 9}, None]


@LINUX
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="there is one core")
def test_the_other_thread_of_a_real_session_is_on_the_other_core() -> None:
    code = """
        import os, threading
        own, other = sorted(os.sched_getaffinity(0))[:2]
        os.sched_setaffinity(0, {own, other})
        from stream import Segmenter
        from stream.inference import two_cores
        put = []
        real = os.sched_setaffinity
        os.sched_setaffinity = lambda which, cores: (put.append(set(cores)), real(which, cores))
        before = set(os.listdir("/proc/self/task"))
        segmenter = Segmenter.load("default", "cpu", threads=2)
        new = set(os.listdir("/proc/self/task")) - before
        assert {other} in [os.sched_getaffinity(int(thread)) for thread in new], new
        import numpy as np
        segmenter(np.zeros((48, 64, 3), np.uint8))
        assert put[-2:] == [{own}, {own, other}], put
        assert os.sched_getaffinity(0) == {own, other}
        put.clear()
        several = Segmenter.load("default", "cpu", threads=2, throughput=True)
        several(np.zeros((48, 64, 3), np.uint8))
        assert put == [], put
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
