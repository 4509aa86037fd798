"""Which objects are in front: the largest, without changing to and fro, or those that are named."""

from itertools import pairwise

import numpy as np
import pytest

from stream.compositing import Painter, Style
from stream.compositing.selection import Selection, sizes_of
from stream.errors import UsageError
from tests.compositing.pictures import astronaut, frame, people, same, samples

RATE = 25


def somebody(*widths, tracks=None):
    """Objects of 100 rows and so many columns each."""
    boxes = [(0, 20, width, 120) for width in widths]
    return people(astronaut(), *boxes, mask=np.ones((28, 28), np.float32), tracks=tracks)


def chosen(asked, frames):
    """Identities in front in each of the frames: (widths, identities)."""
    select = Selection(asked)
    found = [
        select(somebody(*widths, tracks=tracks), index / RATE).track_ids
        for index, (widths, tracks) in enumerate(frames)
    ]
    return [sorted(ids.tolist()) for ids in found]


@pytest.mark.parametrize(("asked", "places"), [("all", [0, 1, 2]), ("largest", [1]), ("2", [1, 2])])
def test_so_many_of_the_largest_in_one_picture(asked, places):
    found = somebody(30, 90, 60)
    picked = Selection(asked)(found, 0.0)
    assert np.array_equal(picked.boxes, found.boxes[places])


def test_identities_are_those_of_the_labels():
    found = somebody(30, 90, 60, tracks=[3, 12, 7])
    assert Selection("id3,#7")(found, 0.0).track_ids.tolist() == [3, 7]
    assert len(Selection("id4")(found, 0.0)) == 0
    assert Selection("#2")(somebody(30, 90), 0.0).boxes[0, 2] == 90


def test_identities_that_nobody_had_are_said():
    painter = Painter("fill", Style(select="id3,id8,#12"))
    assert "--select id3, id8, id12: nobody had these" in painter.remarks
    picture = astronaut()
    painter.paint(
        frame(picture, people(picture, (0, 20, 30, 120), (0, 20, 60, 120), tracks=[3, 12]))
    )
    assert painter.remarks == ["--select id8: nobody had this number"]
    painter.paint(frame(picture, people(picture, (0, 20, 30, 120), tracks=[8])))
    assert painter.remarks == []
    assert Painter("fill", Style(select="2")).remarks == []


def test_two_of_nearly_one_size_do_not_change_places():
    rng = np.random.default_rng(1)
    frames = [((80 + rng.normal(0, 12), 80 + rng.normal(0, 12)), [1, 2]) for _ in range(100)]
    found = chosen("largest", frames)
    assert found == [found[0]] * 100


def test_who_stays_larger_comes_to_the_front_within_a_second():
    frames = [((80, 60), [1, 2])] * 25 + [((80, 120), [1, 2])] * 50
    found = chosen("largest", frames)
    assert found[:35] == [[1]] * 35
    assert found[50:] == [[2]] * 25
    assert sum(one != other for one, other in pairwise(found)) == 1


def test_a_moment_without_the_largest_brings_nobody_else_to_the_front_and_its_end_does():
    gap = [((80, 40), [1, 2])] * 10 + [((40,), [2])] * 4 + [((80, 40), [1, 2])] * 10
    assert chosen("largest", gap) == [[1]] * 10 + [[]] * 4 + [[1]] * 10
    gone = [((80, 40), [1, 2])] * 10 + [((40,), [2])] * 20
    assert chosen("largest", gone)[-10:] == [[2]] * 10


def test_another_picture_altogether_is_not_waited_for():
    cut = [((80, 40), [1, 2])] * 5 + [((50, 30), [8, 9])] * 5
    assert chosen("largest", cut) == [[1]] * 5 + [[8]] * 5
    assert chosen("2", cut) == [[1, 2]] * 5 + [[8, 9]] * 5


def test_time_that_begins_again_is_another_picture():
    select = Selection("largest")
    for seconds in (5.0, 5.1, 5.2):
        select(somebody(80, 40, tracks=[1, 2]), seconds)
    assert select(somebody(80, 140, tracks=[1, 2]), 0.0).track_ids.tolist() == [2]


def test_a_size_is_about_the_masks_pixels_within_the_picture():
    found = people(astronaut(), (20, 20, 100, 140), (150, 20, 250, 140), (np.nan, 0, 1, 1))
    exact = found.areas
    assert sizes_of(found)[:2] == pytest.approx(exact[:2], rel=0.25)
    assert sizes_of(found)[2] < 1


@pytest.mark.parametrize("look", ["overlay", "binary", "grey", "hide", "cutout"])
def test_every_look_paints_as_if_nobody_else_had_been_found(look):
    found = people(astronaut(), (20, 20, 60, 140), (70, 10, 190, 150), tracks=[1, 2])
    pictures = []
    for instances, select in ((found, "largest"), (found[1:], "all")):
        one = frame(astronaut(), instances)
        Painter(look, Style(select=select), timing=False).paint(one)
        assert one.instances is instances
        pictures.append(samples(one.image))
    assert same(*pictures)


@pytest.mark.parametrize(
    "asked", ["", "0", "-1", "1.5", "biggest", "id", "#", "id3,4", "all,2", "9" * 99]
)
def test_nonsense_is_refused_in_a_sentence(asked):
    with pytest.raises(UsageError, match=r"^select: it is all, largest, a number from 1 on"):
        Style(select=asked)
