"""Masks that are carried to where their objects are not."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from stream.instances import Instances
from stream.motion.fit import Fit, Shown
from stream.motion.propagator import Propagator

HEIGHT, WIDTH = 240, 320


def noise(height, width, seed, low=0, high=255):
    rough = np.random.default_rng(seed).uniform(low, high, (height // 8 + 1, width // 8 + 1))
    return cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255)


BEHIND = noise(HEIGHT, WIDTH, 1, 0, 40) + np.linspace(0, 160, WIDTH)
THING = noise(60, 40, 2, 140, 255)


def scene(x, y, thing=THING):
    grey = BEHIND.copy()
    shown = thing[: max(0, HEIGHT - y), max(0, -x) : WIDTH - x]
    grey[y : y + len(shown), max(0, x) : max(0, x) + shown.shape[1]] = shown
    return grey.astype(np.uint8)


def found(*boxes):
    return Instances(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.ones(len(boxes), np.float32),
        labels=np.zeros(len(boxes), np.int64),
        masks=np.ones((len(boxes), 28, 28), np.float32),
        class_names=("thing",),
        mask_threshold=0.5,
        picture_size=(HEIGHT, WIDTH),
    )


def shown(instances, grey, *following):
    """Whether each of some instances is shown, after all those that came before, as [picture]."""
    fit, says = Fit(instances, grey), Shown()
    return [says(box, fit(box, after)).tolist() for box, after in following]


def at(x, y):
    return (x, y, x + 40, y + 60)


@pytest.mark.parametrize(
    ("after", "box", "fits"),
    [
        pytest.param(scene(50, 60), at(50, 60), True, id="moved"),
        pytest.param(scene(200, 60), at(50, 60), False, id="elsewhere"),
        pytest.param(scene(50, 60), at(54, 62), True, id="a little beside"),
        pytest.param((0.7 * scene(50, 60)).astype(np.uint8), at(50, 60), True, id="darker"),
        pytest.param(scene(-15, 60), at(-15, 60), True, id="half out of the picture"),
        pytest.param(scene(-36, 60), at(-34, 60), True, id="as good as out of it"),
    ],
)
def test_what_looks_like_its_object_fits(after, box, fits):
    assert shown(found(at(30, 50)), scene(30, 50), (found(box), after)) == [[fits]]


def test_what_has_nothing_to_be_known_by_fits_anywhere():
    plain = np.full((60, 40), 200.0)
    elsewhere = found(at(200, 50), (100, 100, 104, 104)), scene(30, 50, plain)
    assert shown(found(at(30, 50), (5, 5, 9, 9)), scene(30, 50, plain), elsewhere) == [[True] * 2]
    assert shown(found(), scene(0, 0), (found(), scene(0, 0))) == [[]]


@pytest.mark.parametrize(
    ("likeness", "seen"),
    [
        pytest.param((0.9, -0.2, -0.05, -0.3, 0.0), "#####", id="doubtful"),
        pytest.param((0.9, -0.5, -0.05, -0.3, 0.0, 0.3, 0.0), "#....##", id="lost"),
    ],
)
def test_a_mask_does_not_blink(likeness, seen):
    says, one = Shown(), found(at(0, 0))
    told = [says(one, np.array([value], np.float32))[0] for value in likeness]
    assert "".join("#" if there else "." for there in told) == seen


def test_what_was_lost_stays_so_with_the_next_inference_if_it_is_known_to_be_the_same():
    says, doubtful = Shown(), np.array([-0.2, -0.2], np.float32)
    first = found(at(0, 0), at(90, 0)).with_tracks([7, 8])
    assert says(first, np.array([-1.0, 0.9], np.float32)).tolist() == [False, True]
    again = found(at(90, 0), at(0, 0)).with_tracks([8, 7])
    says.begin(again, says.lost)
    assert says(again, doubtful).tolist() == [True, False]
    without = found(at(0, 0), at(90, 0))
    assert says(without, np.array([-1.0, 0.9], np.float32)).tolist() == [False, True]
    says.begin(without, says.lost)
    assert says(without, doubtful).all()


def test_a_mask_whose_object_has_jumped_is_left_out_where_that_is_asked_for():
    before, after = scene(20, 40), scene(260, 150)
    moved = Propagator()
    moved.set_key(before, found(at(20, 40)))
    assert len(moved.propagate_to(scene(26, 42), fitting=True)) == 1
    assert len(moved.propagate_to(after)) == 1
    assert len(moved.propagate_to(after, fitting=True)) == 0
    assert len(moved.propagate_to(scene(30, 44), fitting=True)) == 1, "it is not lost for good"


def jumped(first, second):
    """What is shown of an object that was here, then elsewhere, and is here again."""
    moved = Propagator()
    moved.set_key(scene(256, 150), first)
    assert len(moved.propagate_to(scene(258, 150), fitting=True)) == len(first)
    moved.set_key(scene(20, 40), second)
    return moved.propagate_to(scene(260, 150), fitting=True)


def test_what_the_last_inference_has_lost_is_carried_from_the_one_before():
    one, other = found(at(256, 150)).with_tracks([4]), found(at(20, 40)).with_tracks([4])
    back = jumped(one, other)
    assert back.track_ids.tolist() == [4]
    np.testing.assert_allclose(back.boxes, [at(260, 150)], atol=2)

    assert len(jumped(found(at(256, 150)), found(at(20, 40)))) == 0, "nobody knows it is the same"
    assert len(jumped(one, other.with_tracks([5]))) == 0, "it is another"
    renamed = replace(other, class_names=("else",))
    assert len(jumped(one, renamed)) == 0, "another model has found it"
    cells = replace(other, masks=np.ones((1, 14, 14), np.float32))
    assert len(jumped(one, cells)) == 0


def test_nothing_is_carried_from_behind_a_cut_whatever_is_lost():
    moved = Propagator()
    moved.set_key(255 - scene(256, 150), found(at(256, 150)).with_tracks([4]))
    moved.set_key(scene(20, 40), found(at(20, 40)).with_tracks([4]))
    assert len(moved.propagate_to(scene(260, 150), fitting=True)) == 0
