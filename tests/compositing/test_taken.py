"""Finding what is in a window's way by cells is as good as asking each."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.compositing.taken import Taken

ROOM = (120, 200)


@st.composite
def windows(draw):
    top, left = draw(st.integers(-30, 130)), draw(st.integers(-30, 210))
    return top, top + draw(st.integers(1, 150)), left, left + draw(st.integers(1, 230))


def overlap(one, other):
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]


@given(st.lists(windows(), max_size=60), st.lists(windows(), min_size=1, max_size=12))
def test_what_is_in_the_way_is_what_overlaps_in_the_order_in_which_it_was_taken(taken, asked):
    kept, known = Taken(ROOM, taken[::2]), list(dict.fromkeys(taken[::2]))
    for window in asked:
        there = [one for one in known if overlap(one, window)]
        assert kept.in_the_way(window) == there
        assert kept.free(window) == kept.free(window) == (not there)
        if taken:
            kept.add(taken[-1])
            known = list(dict.fromkeys([*known, taken.pop()]))


def test_of_thousands_only_those_near_are_asked():
    class Counted(tuple):
        asked = 0

        def __getitem__(self, index):
            Counted.asked += 1
            return super().__getitem__(index)

    rng = np.random.default_rng(0)
    kept = Taken((720, 1280))
    for top, left in rng.integers(0, (700, 1200), (2000, 2)).tolist():
        kept.add(Counted((top, top + 20, left, left + 80)))
    Counted.asked = 0
    kept.in_the_way((300, 320, 500, 580))
    assert Counted.asked < 2000
