"""Objects together: nothing is lost, and nobody's edge becomes another's."""

import numpy as np

from stream.compositing.mattes import around
from stream.compositing.soft import Soft
from stream.compositing.together import merged


def soft(window, cell=2.0, doubt=8.0, value=None):
    shape = (window[1] - window[0], window[3] - window[2])
    rng = np.random.default_rng(window[0] + window[2])
    values = rng.integers(0, 256, shape, np.uint8) if value is None else np.full(shape, value)
    return Soft(window, values.astype(np.uint8), cell, doubt)


def painted(softs):
    plane = np.zeros((120, 200), np.uint8)
    for (top, bottom, left, right), values, _, _ in softs:
        there = plane[top:bottom, left:right]
        np.maximum(there, values, out=there)
    return plane


CROWD = [soft((10, 90, 20 * step, 20 * step + 50)) for step in range(7)]


def test_a_crowd_is_one_and_nothing_is_lost():
    assert len(merged(CROWD)) == 1
    assert np.array_equal(painted(merged(CROWD)), painted(CROWD))
    for order in (CROWD[::-1], CROWD[::2] + CROWD[1::2]):
        assert np.array_equal(painted(merged(order)), painted(CROWD))


def test_what_is_apart_or_would_hold_much_else_stays_apart():
    apart = [soft((0, 40, 0, 40)), soft((60, 100, 150, 190))]
    assert merged(apart) == apart
    crossed = [soft((0, 120, 90, 100)), soft((50, 60, 0, 200))]
    assert merged(crossed) == crossed
    assert merged([]) == []


def test_a_fine_mask_keeps_its_own_edge():
    fine, coarse = soft((10, 90, 20, 60), cell=1.0), soft((10, 90, 30, 70), cell=2.5)
    assert merged([fine, coarse]) == [fine, coarse]
    doubted = soft((10, 90, 30, 70), cell=1.0, doubt=20.0)
    assert merged([fine, doubted]) == [fine, doubted]


def test_parts_of_one_have_the_largest_doubt():
    (one,) = merged([soft((10, 90, 20, 60), 2.0, 8.0), soft((10, 90, 30, 70), 2.4, 9.0)])
    assert one.window == around((10, 90, 20, 60), (10, 90, 30, 70))
    assert (one.cell, one.doubt) == (2.4, 9.0)
