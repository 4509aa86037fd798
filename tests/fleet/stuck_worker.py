"""A driver of one worker on Ray in a process of its own, which says what comes of two tasks.

Ray leaves files open in the process that asks it, which no test may.
"""

from __future__ import annotations

import sys
import time
from contextlib import closing

from stream.fleet.pool import Lost, Need
from stream.fleet.ray_pool import RayPool
from stream.fleet.task import Done, Task
from tests.fleet import doing

_GUARD = 300.0
"""Seconds after which it is over where what is awaited does not come."""


def main(address: str, model: str, source: str, target: str) -> None:
    """Says "ready", waits for a line, then says what came of the task, twice.

    The pool's clock goes on where nothing is to come any more, so that a busy machine is no other.
    """
    clock = [0.0]
    task = Task(1, source, (target,), serial=1)
    need = Need(most=1, patience=100.0)
    plan = doing.a_plan(model, records=False)
    with closing(RayPool(plan, need, address, clock=lambda: clock[0])) as pool:
        _begun(pool, clock)
        _say("ready")
        sys.stdin.readline()
        for each in (30.0, 0.0):
            pool.submit(task)
            ended = _ended(pool, clock, each)
            _say(ended.error if isinstance(ended, Lost) else f"done: {ended.error}")
            _begun(pool, clock)


def _say(line: str | None) -> None:
    # What is printed meanwhile is taken for Ray's.
    print(line, file=sys.__stdout__, flush=True)


def _begun(pool: RayPool, clock: list[float]) -> None:
    """Waits until a worker is free."""
    deadline = time.monotonic() + _GUARD
    while not pool.free(1):
        if not pool._starting:
            clock[0] += 3  # it looks again for what the cluster has
        assert pool.wait(0.2) == []
        assert time.monotonic() < deadline


def _ended(pool: RayPool, clock: list[float], each: float) -> Done | Lost:
    """Waits until a task has ended, by so many seconds of the clock each time."""
    deadline = time.monotonic() + _GUARD
    while not (ended := pool.wait(0.2)):
        clock[0] += each
        assert time.monotonic() < deadline
    (one,) = ended
    return one


if __name__ == "__main__":
    main(*sys.argv[1:])
