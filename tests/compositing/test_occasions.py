"""When something was done is said in a sentence, of a film by times and of photos by names."""

from pathlib import Path

import pytest

from stream.compositing.occasions import Occasions


def filled(done, rate=1):
    occasions = Occasions()
    for index, one in enumerate(done):
        occasions.add(index / rate, done=one)
    return occasions


def test_of_nothing_nothing_is_said():
    assert filled([False] * 5).remark("it rained") == []
    assert filled([], 25).remark("it rained", [Path("a.png")]) == []


def test_of_a_film_spans_of_time_are_said():
    done = [True, True, False, True]
    assert filled(done, 25).remark("it rained") == ["in 3 frames it rained: 0.00-0.04 s, 0.12 s"]
    (said,) = filled([True, False] * 30, 25).remark("it rained")
    assert said.endswith(" and 10 more times") and said.count(", ") == 19


@pytest.mark.parametrize(
    ("done", "said"),
    [
        ([True], "in 1 picture it rained: 0.png"),
        ([False, True, True, False, True], "in 3 pictures it rained: 1.png, 2.png, 4.png"),
    ],
)
def test_of_photos_their_names_are(done, said):
    assert filled(done).remark("it rained", [Path(f"in/{one}.png") for one in range(9)]) == [said]


@pytest.mark.parametrize("done", [[True] * 50, [True, False] * 50])
def test_of_many_photos_some_are(done):
    (said,) = filled(done).remark("it rained", [Path(f"{one}.png") for one in range(100)])
    assert said.startswith("in 50 pictures it rained: 0.png, ") and said.endswith(" and 30 more")
    assert said.count(".png") == 20
