"""Who can take what all are sent."""

from __future__ import annotations

import pytest

from stream.serve.pace import Pace


class Told:
    """A pace with a clock that is set, told once a second."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pace = Pace(lambda: self.now)

    def hear(self, bitrate: float, others: float | None, seconds: int = 1) -> bool:
        for _ in range(seconds):
            self.pace.hear(bitrate, others)
            self.now += 1
        return self.pace.alone


@pytest.mark.parametrize(
    ("bitrate", "others", "alone"),
    [
        (3e6, 2e6, False),
        (1.8e6, 2e6, False),
        (1.2e6, 2e6, True),
        (0.0, 2e6, True),
        # Alone already: what it cannot take slows nobody.
        (1.2e6, None, False),
    ],
)
def test_who_can_take_much_less_than_the_others_is_left_alone(bitrate, others, alone):
    assert Told().hear(bitrate, others, 10) is alone


def test_a_hiccup_leaves_nobody_alone():
    told = Told()
    for _ in range(10):
        assert not told.hear(1e6, 2e6, 2)
        assert not told.hear(3e6, 2e6)


@pytest.mark.parametrize(("bitrate", "others"), [(3e6, 2e6), (1e5, None)])
def test_who_can_take_it_again_or_is_the_only_one_comes_back_after_a_while(bitrate, others):
    told = Told()
    assert told.hear(1e6, 2e6, 3)
    assert told.hear(bitrate, others, 9), "not at once"
    assert not told.hear(bitrate, others, 2)


def test_who_cannot_take_it_stays_alone():
    assert Told().hear(1e6, 2e6, 1000)


def test_who_comes_back_too_soon_waits_longer_each_time():
    told, waits = Told(), []
    for _ in range(7):
        assert told.hear(1e6, 2e6, 3)
        began = told.now
        while told.hear(3e6, 2e6):
            assert told.now < began + 200
        waits.append(told.now - began)
    assert waits == sorted(waits)
    assert waits[0] <= 10 and 18 <= waits[1] <= 20 and waits[-1] == waits[-2] <= 161
