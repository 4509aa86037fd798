"""Who goes with whom: the runs are let through by the test."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import pytest

from stream.errors import ModelError
from stream.inference.batches import Batches
from stream.inference.gatherer import Answer, Gatherer
from tests.run.parts import Hands, prepared_number, until

SMALL, LARGE = (64, 48), (96, 48)


class Runs:
    """Batches whose runs take ten seconds of a clock each, and wait to be let through.

    Answers are ten times the picture's number.
    """

    most = 4

    def __init__(self, counts: Sequence[int] = (2, 4)) -> None:
        self.hands = Hands(0.0)
        self.gate = threading.Semaphore(0)
        self.runs: list[list[int]] = []
        self.begun = threading.Semaphore(0)
        self.broken = False
        self._counts = counts

    def counts(self, size: tuple[int, int]) -> Sequence[int]:
        return self._counts

    def alone(self, prepared: Any) -> Any:
        return self._run([prepared])[0]

    def infer(self, pictures: Any) -> Any:
        return self._run(pictures)

    def _run(self, pictures: Any) -> list[int]:
        numbers = [int(one.pixels().flat[0]) for one in pictures]
        self.runs.append(numbers)
        self.begun.release()
        assert self.gate.acquire(timeout=60)
        self.hands.at += 10
        if self.broken and len(pictures) > 1:
            raise RuntimeError("out of memory")
        if 13 in numbers:
            raise ModelError("a picture of ill luck")
        return [10 * number for number in numbers]


class Sources:
    """Sources that ask from threads of their own."""

    def __init__(self, runs: Runs) -> None:
        self.runs = runs
        self.gatherer = Gatherer(cast("Batches", runs), clock=runs.hands)
        self._pool = ThreadPoolExecutor(8)

    def __enter__(self) -> Sources:
        return self

    def __exit__(self, *error: object) -> None:
        self.runs.gate.release(100)
        self._pool.shutdown()

    def ask(self, number: int, size: tuple[int, int] = SMALL, *, waits: bool = True) -> Any:
        """Asks; comes back when the run has begun, or when it waits behind those before."""
        before = self.gatherer.waiting
        prepared = prepared_number(number, size)
        future: Future[Answer] = self._pool.submit(self.gatherer, prepared, self.runs.alone)
        if waits:
            until(lambda: self.gatherer.waiting == before + 1)
        else:
            assert self.runs.begun.acquire(timeout=60)
        return future

    def let(self, runs: int = 1) -> None:
        self.runs.gate.release(runs)


def told(future: Future[Answer]) -> tuple[int, float, int]:
    raw, seconds, pictures = future.result(60)
    return cast("int", raw), seconds, pictures


def test_who_asks_of_an_idle_model_begins_at_once() -> None:
    with Sources(Runs()) as sources:
        first = sources.ask(1, waits=False)
        sources.let()
        assert told(first) == (10, 10.0, 1)
        second = sources.ask(2, waits=False)
        sources.let()
        assert told(second) == (20, 10.0, 1)


def test_who_asks_meanwhile_goes_together_and_each_is_charged_its_share() -> None:
    with Sources(Runs()) as sources:
        first = sources.ask(1, waits=False)
        others = [sources.ask(number) for number in (2, 3, 4, 5)]
        sources.let(2)
        assert told(first) == (10, 10.0, 1)
        assert [told(one) for one in others] == [(10 * n, 2.5, 4) for n in (2, 3, 4, 5)]
        assert sources.runs.runs == [[1], [2, 3, 4, 5]]


def test_three_go_as_two_and_one() -> None:
    with Sources(Runs()) as sources:
        futures = [sources.ask(1, waits=False), *(sources.ask(number) for number in (2, 3, 4))]
        sources.let(3)
        assert [told(one)[1:] for one in futures] == [(10, 1), (5, 2), (5, 2), (10, 1)]
        assert sources.runs.runs == [[1], [2, 3], [4]]


def test_pictures_of_two_sizes_do_not_go_together_and_the_first_goes_first() -> None:
    with Sources(Runs()) as sources:
        futures = [sources.ask(1, waits=False), sources.ask(2, LARGE), sources.ask(3)]
        futures += [sources.ask(4, LARGE), sources.ask(5)]
        sources.let(3)
        assert [told(one)[0] for one in futures] == [10, 20, 30, 40, 50]
        assert sources.runs.runs == [[1], [2, 4], [3, 5]]


def test_a_size_that_is_not_prepared_goes_one_by_one() -> None:
    with Sources(Runs(())) as sources:
        futures = [sources.ask(1, waits=False), sources.ask(2), sources.ask(3)]
        sources.let(3)
        assert [told(one)[2] for one in futures] == [1, 1, 1]


def test_what_fails_together_is_asked_for_by_itself() -> None:
    with Sources(Runs()) as sources:
        sources.runs.broken = True
        futures = [sources.ask(1, waits=False), sources.ask(2), sources.ask(3)]
        sources.let(4)
        assert [told(one) for one in futures] == [(10, 10, 1), (20, 10, 1), (30, 10, 1)]
        assert sources.runs.runs == [[1], [2, 3], [2], [3]]


def test_one_pictures_failure_is_its_own() -> None:
    with Sources(Runs()) as sources:
        futures = [sources.ask(1, waits=False), sources.ask(13), sources.ask(3)]
        sources.let(4)
        assert told(futures[0])[0] == 10 and told(futures[2])[0] == 30
        with pytest.raises(ModelError, match="a picture of ill luck"):
            futures[1].result(60)
        last = sources.ask(4, waits=False)
        sources.let()
        assert told(last)[0] == 40, "and all goes on"


def test_alone_by_a_model_that_takes_no_more_at_once() -> None:
    runs = Runs()
    runs.most = 1
    with Sources(runs) as sources:
        both = [sources.ask(number, waits=False) for number in (1, 2)]
        sources.let(2)
        assert sorted(told(one)[0] for one in both) == [10, 20]


def test_many_ask_again_and_again_and_all_get_their_own_answers() -> None:
    runs = Runs()
    runs.gate.release(10_000)
    gatherer = Gatherer(cast("Batches", runs))
    each = 50

    def source(number: int) -> int:
        size = SMALL if number % 3 else LARGE
        for _ in range(each):
            assert gatherer(prepared_number(number, size), runs.alone).raw == 10 * number
        return each

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(source, range(1, 7))) == 6 * each
    assert sum(map(len, runs.runs)) == 6 * each
    assert gatherer.waiting == 0
