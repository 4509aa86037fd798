"""Whether a display keeps up, by what is lost from one look to the next."""

from __future__ import annotations

import pytest

from stream.run.figures import Counts
from stream.run.losses import Losses


class _Watch:
    """A clock that is set."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


class _Source:
    """A source of thirty frames a second, looked at each second."""

    def __init__(self) -> None:
        self._watch = _Watch()
        self._losses = Losses(self._watch)
        self._shown = self._dropped = self._left_out = 0

    def second(self, lost: int = 0, left_out: int = 0, *, alone: bool = True) -> bool | None:
        self._watch.at += 1.0
        assert self._losses.due
        self._shown += 30 - lost - left_out
        self._dropped += lost + left_out
        self._left_out += left_out
        counts = Counts(frames_in=0, shown=self._shown, dropped=self._dropped)
        told = self._losses.keeps_up(counts, self._left_out, alone=alone)
        assert not self._losses.due
        return told


@pytest.mark.parametrize(("lost", "keeps_up"), [(0, True), (1, True), (2, False), (30, False)])
def test_a_lone_source_may_lose_one_in_thirty(lost: int, keeps_up: bool) -> None:
    source = _Source()
    assert [source.second(lost) for _ in range(3)] == 3 * [keeps_up]


def test_what_is_left_out_for_want_of_room_is_no_loss() -> None:
    source = _Source()
    assert source.second(left_out=20) is True
    assert source.second(left_out=20, alone=False) is True
    assert source.second(lost=3, left_out=20) is False


def test_of_several_one_loss_says_nothing_and_two_within_seven_seconds_do() -> None:
    source = _Source()
    told = [source.second(lost, alone=False) for lost in (0, 1, 0, 0, 0, 0, 1, 1, 0)]
    assert told == [True, None, True, True, True, True, False, False, True]


def test_before_a_second_is_over_nothing_is_due() -> None:
    watch = _Watch()
    losses = Losses(watch)
    watch.at = 0.9
    assert not losses.due
    watch.at = 1.0
    assert losses.due


def test_what_was_lost_until_then_may_be_forgiven() -> None:
    watch = _Watch()
    for alone in (True, False):
        losses = Losses(watch)
        watch.at += 1.0
        losses.forgive(Counts(shown=20, dropped=10), 0)
        assert not losses.due
        watch.at += 1.0
        assert losses.keeps_up(Counts(shown=50, dropped=10), 0, alone=alone) is True
        watch.at += 1.0
        assert losses.keeps_up(Counts(shown=77, dropped=13), 0, alone=alone) is False
