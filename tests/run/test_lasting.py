"""Live, who is missed once stays for a moment where motion takes him."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stream.instances import Instances
from stream.run.lasting import Lasting
from tests.run.test_bridge import numbers, shown


class Carried:
    """What was shown before, a pixel farther each time that it is asked for."""

    def __init__(self, first: Instances | None) -> None:
        self.held, self.asked = first, 0

    def __call__(self) -> Instances | None:
        self.asked += 1
        return self.held


@pytest.mark.parametrize(("step", "stays"), [(1 / 30, 4), (0.1, 1), (0.14, 1), (0.2, 0)])
def test_who_was_seen_a_moment_ago_stays_for_as_long(step: float, stays: int) -> None:
    lasting = Lasting()
    before, doubts = Carried(shown({1: 6.0, 2: 20.0})), shown({}, 0.3)
    assert numbers([lasting(shown({1: 5.0, 2: 20.0}), 0.0, before)]) == [[1, 2]]
    assert not before.asked, "nothing is moved where nobody is missed"
    now = replace(shown({2: 20.0}, 0.9), unsure=doubts)
    found = [lasting(now, step * index, before) for index in range(1, 7)]
    assert numbers(found) == [[1, 2]] * stays + [[2]] * (6 - stays)
    for one in found[:stays]:
        assert one.boxes[:, 0].tolist() == [20, 6] and one.unsure is doubts
    # He is back, and his time begins anew.
    assert numbers([lasting(shown({1: 8.0}), step * 7, before)])[0][0] == 1
    assert (1 in numbers([lasting(now, step * 8, before)])[0]) is bool(stays)


def test_nobody_stays_after_a_cut_nor_where_time_goes_back_nor_without_a_number() -> None:
    gone = shown({})
    for carried, seconds in ((None, 0.05), (shown({1: 5.0}), -0.05), (shown({1: 5.0}), 1.0)):
        lasting = Lasting()
        lasting(shown({1: 5.0}), 0.0, Carried(carried))
        assert not len(lasting(gone, seconds, Carried(carried)))
    lasting, nameless = Lasting(), replace(shown({1: 5.0}), track_ids=None)
    lasting(nameless, 0.0, Carried(nameless))
    assert not len(lasting(gone, 0.05, Carried(nameless)))
    assert lasting(nameless, 0.1, Carried(nameless)) is nameless
