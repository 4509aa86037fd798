"""Which candidates are which object: each of the rules by itself, at its limits."""

from dataclasses import replace

import numpy as np
import pytest

from stream.tracking.association import LIVING, buffered_iou
from stream.tracking.trackers._followed import Followed
from stream.tracking.trackers._matching import Matching, _inwards, _undisputed
from stream_export.names import COCO
from tests.tracking.objects import LEFT, RIGHT, found, moved

SEEN = 10.0
RED, BLUE = np.array([1, 0], np.float32), np.array([0, 1], np.float32)


def known(box, *, velocity=(0, 0), label=0, colours=None, identity=1, present=True, scene=0):
    """An object that was seen last at 10 seconds."""
    return Followed(
        identity=identity, box=np.array(box, np.float32), seen=SEEN, sure=SEEN,
        votes={label: 1.0}, first_seen=0.0, met=0, best=0.9, scene=scene,
        velocity=np.array(velocity, np.float32), colours=colours, present=present,
    )  # fmt: skip


def matching(objects, *candidates, gone=0.5, size=(120, 160), colours=None, names=None):
    there = replace(found(*candidates), picture_size=size)
    if colours is not None:
        there = replace(there, colours=np.stack(colours))
    if names is not None:
        there = replace(there, class_names=names)
    return Matching(there, objects, SEEN + gone, 3.0)


def test_undisputed_is_who_overlaps_much_with_one_and_hardly_with_another():
    def told(*rows):
        return _undisputed(np.array(rows, np.float32)).tolist()

    assert told((0.7, 0.2), (0.2, 0.71)) == [[True, False], [False, True]]
    assert told((0.69, 0.0)) == [[False, False]]
    assert told((0.9, 0.21)) == [[False, False]], "two objects are there"
    assert told((0.9,), (0.21,)) == [[False], [False]], "two candidates are there"
    assert told((0.9,), (0.2,)) == [[True], [False]]
    assert told((0.9, 0.0), (0.3, 0.3)) == [[False, False], [False, False]]


def test_sides_lie_within_the_picture_by_so_much():
    box = np.array([[10, 20, 90, 70], [-5, 0, 100, 130]], np.float32)
    ends = np.array([0, 0, 100, 120], np.float32)
    assert _inwards(box, ends).tolist() == [[10, 20, 10, 50], [-5, 0, 0, -10]]


@pytest.mark.parametrize(("gone", "share"), [(0.0, 0.8), (0.5, 1.05), (1.0, 1.3), (2.0, 1.3)])
def test_the_longer_it_is_gone_the_farther_off_it_is_looked_for(gone, share):
    one = matching([known(LEFT)], (moved(LEFT, 70), 0.9), gone=gone)
    boxes = np.array([moved(LEFT, 70)], np.float32)
    wanted = buffered_iou(boxes, np.array([LEFT], np.float32), share)
    np.testing.assert_allclose(one._far(), wanted, rtol=1e-5)
    near = buffered_iou(boxes, np.array([LEFT], np.float32), min(0.3, 3 * gone))
    np.testing.assert_allclose(one._near(), near, rtol=1e-5)


def test_it_is_expected_where_its_speed_takes_it_and_slower_by_and_by():
    for gone, ahead in ((0.0, 0.0), (0.7, 0.7 * (1 - np.exp(-1))), (7.0, 0.7)):
        one = matching([known(LEFT, velocity=(30, -10))], (LEFT, 0.9), gone=gone)
        wanted = np.array(LEFT) + np.tile((30 * ahead, -10 * ahead), 2)
        np.testing.assert_allclose(one._places[:1], [wanted], atol=0.01)


DRIVER = (60.0, 40.0, 80.0, 60.0)  # 20 pixels large, in a picture of 160 x 90: the edge is 1.8 wide


@pytest.mark.parametrize(
    ("velocity", "present", "box", "entered"),
    [
        ((41, 0), False, (0, 40, 20, 60), True),
        ((41, 0), False, (1.7, 40, 20, 60), True),
        ((41, 0), False, (1.9, 40, 21, 60), False),  # not at the edge
        ((39, 0), False, (0, 40, 20, 60), False),  # too slow
        ((41, 0), True, (0, 40, 20, 60), False),  # was there until now
        ((-41, 0), False, (0, 40, 20, 60), False),  # before it
        ((-41, 0), False, (140, 40, 160, 60), True),
        ((-41, 0), False, (138.1, 40, 158.1, 60), False),
        ((0, -41), False, (60, 70, 80, 90), True),
        ((0, 41), False, (60, 0, 80, 20), True),
        ((0, 41), False, (60, 70, 80, 90), False),
        ((41, 0), False, (0, 0, 121, 90), False),  # 9.5 behind it, less than half of its size
        ((41, 0), False, (0, 0, 119, 90), True),  # 10.5
    ],
)
def test_who_comes_in_at_the_edge_behind_who_drives_away(velocity, present, box, entered):
    # One beside it that stands, so that each is told by its own place and speed.
    stands = known((100, 20, 130, 50), present=False)
    one = matching(
        [stands, known(DRIVER, velocity=velocity, present=present)], (box, 0.9), size=(90, 160)
    )
    assert one._enters_behind().tolist() == [[False, entered]]


@pytest.mark.parametrize(
    ("last", "velocity", "gone", "box", "alike", "entered"),
    [
        ((10, 30, 40, 60), (0, 0), 0.4, (0, 30, 20, 60), 0.5, True),
        ((10, 30, 40, 60), (0, 0), 0.2, (0, 30, 20, 60), 0.5, False),  # missed just now
        ((10, 30, 40, 60), (0, 0), 0.4, (0, 30, 20, 60), 0.95, False),  # in its colours
        ((10, 30, 40, 60), (0, 0), 0.4, (1.9, 30, 20, 60), 0.5, False),  # not cut off
        ((3.5, 30, 33, 60), (0, 0), 0.4, (0, 30, 20, 60), 0.5, False),  # was at that edge
        ((3.7, 30, 33, 60), (0, 0), 0.4, (0, 30, 18, 60), 0.5, True),
        ((10, 30, 40, 60), (-20, 0), 0.4, (0, 30, 20, 60), 0.5, False),  # was heading there
        ((10, 30, 40, 60), (-10, 0), 0.4, (0, 30, 20, 60), 0.5, True),
        ((10, 30, 40, 60), (0, 0), 0.4, (0, 30, 36, 60), 0.5, False),  # is in its place
        ((110, 30, 150, 60), (0, 0), 0.4, (140, 30, 160, 60), 0.5, True),
        ((50, 50, 80, 80), (0, 0), 0.4, (50, 70, 80, 90), 0.5, True),
        ((50, 50, 80, 87), (0, 0), 0.4, (50, 75, 80, 90), 0.5, False),
        ((50, 10, 80, 40), (0, 0), 0.4, (50, 0, 80, 15), 0.5, True),
    ],
)
def test_who_was_wholly_in_view_is_not_what_an_edge_cuts_off(
    last, velocity, gone, box, alike, entered
):
    there = known(last, velocity=velocity, present=False)
    one = matching([there], (box, 0.9), gone=gone, size=(90, 160))
    assert one._comes_in(np.array([[alike]], np.float32)).tolist() == [[entered]]


def test_alone_in_its_place_it_is_itself_whatever_its_colours_are():
    def weight(*others, gone=0.1):
        objects = [known(LEFT, colours=RED), *others]
        one = matching(objects, (moved(LEFT, 5), 0.9), gone=gone, colours=[BLUE])
        return float(one._weights()[0, 0])

    assert weight() == 1
    # Beside another, which it may be as well, and in another scene colours count.
    assert weight(known(moved(LEFT, 20), colours=BLUE)) == pytest.approx(0.05)
    assert weight(gone=3.5) == 0


def test_colours_make_an_overlap_weigh_more_and_another_class_less():
    objects = [known(LEFT, colours=RED), known(moved(LEFT, 20), colours=BLUE)]
    one = matching(objects, (moved(LEFT, 10), 0.9), gone=0.1, colours=[RED])
    np.testing.assert_allclose(one._weights(), [[1 + 3 * 0.3, 0.05]], rtol=1e-5)
    one = matching(objects, (moved(LEFT, 10), 0.9, 1), gone=0.1, colours=[RED])
    np.testing.assert_allclose(one._weights(), [[0.8 * 1.9, 0.8 * 0.05]], rtol=1e-5)


def test_who_lives_is_a_thing_only_where_it_is_expected():
    names = ("person", "chair")
    for at, weight in ((5, 0.8), (30, 0.0)):
        one = matching([known(LEFT)], (moved(LEFT, at), 0.9, 1), gone=0.1, names=names)
        assert one._weights().tolist() == [[np.float32(weight)]], at
    for name in COCO[14:24]:
        one = matching([known(LEFT)], (moved(LEFT, 30), 0.9, 1), names=("person", name))
        assert one._weights().tolist() == [[np.float32(0.8)]], name
    assert {"person", *COCO[14:24]} == LIVING


def test_what_is_faint_is_nobody_who_has_no_number_or_was_missed():
    sure = np.zeros(1, np.bool_)
    for identity, present, same in ((1, True, True), (0, True, False), (1, False, False)):
        one = known(LEFT, identity=identity, present=present)
        pairs = matching([one], (LEFT, 0.2), gone=0.1).pairs(sure, sure)
        assert (pairs == {0: one}) is same, (identity, present)


def test_two_who_are_sought_find_their_own_and_each_is_one_at_most():
    first, second = known(LEFT), known(RIGHT, identity=2)
    candidates = ((moved(RIGHT, 3), 0.9), (moved(LEFT, 3), 0.8), (moved(LEFT, 6), 0.7))
    all_sure = np.ones(3, np.bool_)
    pairs = matching([first, second], *candidates, gone=0.1).pairs(all_sure, all_sure)
    assert pairs == {0: second, 1: first}
