"""Threads that take from one generator."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from stream.system.one_at_a_time import OneAtATime


def test_a_second_thread_waits_where_a_generator_would_refuse_it():
    asked, go = threading.Event(), threading.Event()

    def slow():
        asked.set()
        assert go.wait(60)
        yield 1
        yield 2

    taken = OneAtATime(slow())
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(next, taken)
        assert asked.wait(60)
        second = pool.submit(next, taken)
        go.set()
        assert {first.result(60), second.result(60)} == {1, 2}
    assert list(taken) == []


def test_it_is_closed_with_what_nobody_takes_any_more():
    ended = []

    def made():
        try:
            yield 1
            yield 2
        finally:
            ended.append(True)

    taken = OneAtATime(made())
    assert next(taken) == 1
    taken.close()
    assert ended == [True]
    with pytest.raises(StopIteration):
        next(taken)
    for _ in OneAtATime(made()):
        break
    assert ended == [True, True], "left by a loop, as a generator is"
