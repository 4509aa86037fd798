"""What waits: as a plain list would have it, however it is asked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from stream.fleet.parts import PartKey, Step
from stream.fleet.waiting import Handed, Waiting

FILES = 4
ACTIONS = some.lists(
    some.tuples(some.sampled_from(["pop", "first", "last", "leave"]), some.integers(1, FILES)),
    max_size=40,
)


@given(ACTIONS)
def test_the_order_is_that_of_a_list(actions: list[tuple[str, int]]) -> None:
    begun: list[Handed] = []
    files: list[Handed] = [(number, None) for number in range(1, FILES + 1)]
    again: list[Handed] = []
    waiting = Waiting(range(1, FILES + 1))
    handed: list[Handed] = []
    for place, (what, number) in enumerate(actions):
        task = (number, PartKey(Step.FIND, place))
        if what == "first":
            two = [task, (number, PartKey(Step.PAINT, place))]
            waiting.first(two)
            begun = two + begun
        elif what == "last":
            waiting.last(task)
            again.append(task)
        elif what == "leave":
            waiting.leave(number)
            begun = [one for one in begun if one[0] != number]
            again = [one for one in again if one[0] != number]
        elif len(waiting):
            expected = (begun or files or again).pop(0)
            handed.append(waiting.pop())
            assert handed[-1] == expected
        assert len(waiting) == len(begun) + len(files) + len(again)


def test_what_was_begun_waits_for_where_it_fits() -> None:
    waiting = Waiting([3])
    waiting.first([(1, None)])
    waiting.last((2, None))
    asked: list[Handed] = []

    def nowhere(task: Handed) -> bool:
        asked.append(task)
        return False

    assert waiting.pop(nowhere) == (3, None)  # which was never tried
    assert waiting.pop(nowhere) is None
    assert asked == [(1, None), (1, None), (2, None)] and len(waiting) == 2
    assert waiting.pop(lambda task: task[0] == 2) == (2, None)
    assert waiting.pop() == (1, None) and waiting.pop() is None
