"""Processes of one command know whether another one goes on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from stream import sources
from stream.cli._siblings import Siblings, opening, started
from stream.errors import SourceError
from stream.run.plan import RunPlan, SourcePlan

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")


def plan(target: str) -> RunPlan:
    return RunPlan(SourcePlan(target), ())


def pipe() -> tuple[int, int, int]:
    """A pipe as a process finds it, and another process's hold on it."""
    reads, writes = os.pipe()
    return reads, writes, os.dup(writes)


def test_it_waits_as_long_as_another_process_holds_the_pipe():
    reads, writes, others = pipe()
    siblings = Siblings(reads, writes)
    assert siblings.waits(0.0, lambda: True), "itself, for a source that is still being opened"
    siblings.left("a")
    siblings.left("a")
    assert siblings.waits(0.0, lambda: True) and not siblings.waits(0.0, lambda: False)
    os.close(others)
    assert not siblings.waits(3600.0, lambda: True)
    os.close(reads)


def test_only_a_source_that_comes_back_is_waited_for(monkeypatch):
    reads, writes, others = pipe()
    address = "tcp://127.0.0.1:9"
    assert opening(plan(address)) is None, "it runs alone"
    monkeypatch.setenv("STREAM_SIBLINGS", f"{reads},{writes}")
    assert opening(plan("pattern")) is None
    assert "STREAM_SIBLINGS" not in os.environ, "it is not for what this process starts"
    monkeypatch.setenv("STREAM_SIBLINGS", f"{reads},{writes}")
    opened = opening(plan(address))
    assert opened is not None
    gone = SourceError("a wrong password", lasting=True)

    def refused(*given: object) -> None:
        raise gone

    monkeypatch.setattr(sources, "open", refused)
    with pytest.raises(SourceError) as raised:
        opened()
    assert raised.value is gone
    os.close(reads)
    os.close(others)


def test_processes_are_started_with_the_pipe_and_the_starter_lets_go_of_it():
    before = len(list(Path("/dev/fd").iterdir()))
    running = started([[sys.executable, "-c", "import os; os.environ['STREAM_SIBLINGS']"]] * 2)
    assert [one.wait(60) for one in running] == [0, 0]
    assert len(list(Path("/dev/fd").iterdir())) == before
