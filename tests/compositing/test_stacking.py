"""Which of a frame's objects is in front where their masks overlap."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.compositing import Painter, Style
from stream.compositing.canvas import Canvas
from stream.compositing.mask_memory import Memory
from stream.compositing.palette import PALETTE
from stream.compositing.planes import encoding_of
from stream.compositing.stacking import Stack, _related
from stream.kernels import compiled
from tests.compositing.pictures import astronaut, frame, people, samples

MAN, BALL, SEAM = (40, 10, 140, 150), (70, 60, 110, 100), (85, 75, 95, 85)
BESIDE = (100, 20, 190, 150)


def overlaps(one, other):
    """Whether pixels of the picture are both masks'."""
    masks = people(astronaut(), one, other).full_masks()
    return (masks[0] & masks[1]).sum() > 0.05 * masks[1].sum()


def order(*boxes, tracks=None):
    found = people(astronaut(), *boxes, tracks=tracks)
    return [boxes[index] for index in Stack(found, found.mask_threshold).order]


def test_what_is_much_smaller_is_in_front_whatever_scores_and_numbers_say():
    for boxes in permutations((MAN, BALL, SEAM)):
        for tracks in (None, *permutations((1, 2, 3))):
            assert order(*boxes, tracks=tracks) == [MAN, BALL, SEAM]


def test_of_others_who_was_there_first_is_in_front_and_no_score_changes_that():
    for boxes, tracks in (((MAN, BESIDE), [4, 7]), ((BESIDE, MAN), [7, 4])):
        assert order(*boxes, tracks=tracks) == [BESIDE, MAN]


def test_where_nothing_is_followed_the_surer_one_is_in_front():
    assert order(MAN, BESIDE) == [BESIDE, MAN]
    assert order(BESIDE, MAN) == [MAN, BESIDE]


def test_two_of_about_one_size_keep_their_places_while_their_sizes_tremble():
    other = (41, 12, 140, 150)
    for width in range(90, 111):
        trembling = (40, 10, 40 + width, 150)
        assert order(other, trembling, tracks=[2, 1]) == [other, trembling]


def test_what_is_thrown_stays_in_front_however_far_it_lies_within_the_other():
    for left in range(-25, 120, 5):
        ball = (left, 60, left + 40, 100)
        assert order(MAN, ball, tracks=[1, 2])[-1] == ball or not overlaps(MAN, ball)


def test_nothing_is_lost_wholly_behind_what_is_larger():
    """Two arm-wrestle, and one mask is of both."""
    one = (60, 20, 130, 120)
    whole = np.ones((28, 28), np.float32)
    found = people(astronaut(), MAN, one, mask=whole, tracks=[1, 2])
    assert Stack(found, found.mask_threshold).order == [0, 1]


def test_a_mask_decides_and_not_its_box():
    """Who stands in the corner that a mask leaves out is not before it."""
    found = people(astronaut(), MAN, BALL, tracks=[1, 2])
    masks = found.masks.copy()
    masks[0] = 0
    masks[0, :, : masks.shape[2] // 5] = 1
    assert Stack(replace(found, masks=masks), found.mask_threshold).order == [1, 0]


@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(2, 6), st.integers(1, 60), st.integers(1, 60)),
    st.floats(0, 1),
)
def test_compiled_loops_say_the_same_of_who_is_in_front(seed, shape, wild):
    if compiled() is None:
        pytest.skip("nothing was compiled")
    rng = np.random.default_rng(seed)
    masks = (rng.random(shape) + rng.random((shape[0], 1, 1)) - 0.5).astype(np.float32)
    boxes = rng.integers(0, 40, (shape[0], 4)) * rng.choice([1, 0.3, 7.7], (shape[0], 1))
    boxes[rng.random(shape[0]) < 0.2 * wild] = [np.nan, -np.inf, 3e38, 12]
    boxes[:, 2:] += boxes[:, :2] * (rng.random() < 0.9)
    by_loops = _related(masks, boxes.astype(np.float32), 0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stream.compositing.stacking.compiled", lambda: None)
        by_numpy = _related(masks, boxes.astype(np.float32), 0.5)
    for one, other in zip(by_loops, by_numpy, strict=True):
        assert np.array_equal(one, other)


def test_boxes_of_any_values_have_an_order():
    for box in ((0, 0, 0, 0), (-3e38, -3e38, 3e38, 3e38), (np.nan, 0, np.inf, 9)):
        assert sorted(order(MAN, box, BALL), key=str) == sorted((MAN, box, BALL), key=str)


@pytest.mark.parametrize("look", ["fill", "overlay"])
def test_what_is_in_front_has_its_own_colour_and_not_a_mixture(look):
    alone, together = astronaut(), astronaut()
    painter = Painter(look, Style(label="none"))
    whole = np.ones((28, 28), np.float32)
    painter.paint(frame(alone, people(alone, BALL, mask=whole, tracks=[2])))
    painter.paint(frame(together, people(together, MAN, BALL, mask=whole, tracks=[1, 2])))
    inner = np.s_[64:96, 74:106]
    assert np.array_equal(samples(alone)[0][inner], samples(together)[0][inner])
    around = np.s_[20:50, 50:130]  # the man is painted all the same
    assert not np.array_equal(samples(alone)[0][around], samples(together)[0][around])


def test_what_is_in_front_has_its_own_colour_on_the_picture_s_edge_too():
    """What is behind reaches beyond the picture there, and is hidden there as well."""
    alone, together = astronaut(), astronaut()
    behind, before = (40, 40, 140, alone.height), (60, 60, 120, alone.height)
    painter = Painter("overlay", Style(label="none"))
    whole = np.ones((28, 28), np.float32)
    painter.paint(frame(alone, people(alone, before, mask=whole, tracks=[1])))
    painter.paint(frame(together, people(together, behind, before, mask=whole, tracks=[2, 1])))
    inner = np.s_[70:, 70:110]
    assert np.array_equal(samples(alone)[0][inner], samples(together)[0][inner])


def test_what_lies_within_something_larger_is_not_lost_in_flat_colours():
    picture = astronaut()
    found = people(picture, MAN, BALL, tracks=[1, 2])
    Painter("instances").paint(frame(picture, found))
    luma = samples(picture)[0]
    assert (luma[found.full_masks()[1]] == encoding_of(picture).codes(PALETTE[1])[0]).all()


def test_of_more_objects_than_a_byte_counts_each_hides_what_is_behind_it():
    boxes = [(4, 4, 60, 60), *((20, 20, 40, 40) for _ in range(300)), (90, 90, 120, 120)]
    picture = astronaut()
    whole = np.ones((28, 28), np.float32)
    found = people(picture, *boxes, mask=whole, tracks=list(range(1, len(boxes) + 1)))
    canvas = Canvas(picture, found, Style(), Memory(0))
    shown = np.zeros(found.picture_size, np.int64)
    for index in range(len(boxes)):
        seen = canvas.seen(index)
        top, bottom, left, right = seen.window
        shown[top:bottom, left:right] += seen.inside.astype(np.int64) * (index + 1)
    # No pixel is two objects', and the first of those that lie alike has all of theirs.
    assert (shown[22:38, 22:38] == 2).all()
    assert (shown[6:18, 6:58] == 1).all()
    assert (shown[92:118, 92:118] == len(boxes)).all()
