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
    # Of a picture four times as large, 20 pixels are five of the small one.
    size = (4 * HEIGHT, 4 * WIDTH)
    small, large = (
        replace(found((120, 200, 120 + side, 440)), picture_size=size) for side in (20, 28)
    )
    assert likeness(small, scene(30, 50), small, scene(200, 50)) == 1
    assert likeness(large, scene(30, 50), large, scene(200, 50)) < 0.9


def likeness(before, grey, moved, after):
    """How like the only one of some instances looks in the second picture."""
    return Fit(before, grey)(moved, after)[0]


def test_cells_are_looked_at_where_they_are_however_large_the_picture_and_fine_the_mask():
    before, there, elsewhere = found(at(30, 50)), found(at(51, 62)), found(at(200, 150))
    grey, after = scene(30, 50), scene(51, 62)
    alike, other = (likeness(before, grey, one, after) for one in (there, elsewhere))
    assert alike > 0.98 and other < 0.3
    for factor, cells in ((4, 28), (1, 112), (3, 56)):
        size = (factor * HEIGHT, factor * WIDTH)
        ones = np.ones((1, cells, cells), np.float32)
        large, moved, away = (
            replace(one, boxes=one.boxes * factor, masks=ones, picture_size=size)
            for one in (before, there, elsewhere)
        )
        assert likeness(large, grey, moved, after) == pytest.approx(alike, abs=0.02), factor
        assert likeness(large, grey, away, after) == pytest.approx(other, abs=0.1), factor


@pytest.mark.parametrize(
    ("x", "y"), [(-18, 60), (WIDTH - 22, 60), (100, HEIGHT - 32), (WIDTH - 25, HEIGHT - 35)]
)
def test_what_only_one_picture_shows_of_an_object_is_not_compared(x, y):
    whole = found(at(30, 50))
    moved = replace(whole, boxes=np.array([at(x, y)], np.float32))
    assert likeness(whole, scene(30, 50), moved, scene(x, y)) > 0.9


def test_what_is_beside_an_object_in_its_box_is_not_compared():
    half = found(at(30, 50))
    half.masks[:, :, 14:] = 0
    moved = replace(half, boxes=np.array([at(120, 60)], np.float32))
    before, after = scene(30, 50), scene(120, 60)
    before[:, 52:] = 255 - before[:, 52:]
    after[:, 142:] = 0
    assert likeness(half, before, moved, after) > 0.98


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
