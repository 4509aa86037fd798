"""Instances follow the motion of the picture."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.instances import Instances
from stream.motion.flow import FlowMeter, small_grey
from stream.motion.propagate import Carried, in_size, propagate
from stream.motion.propagator import (
    Propagator,
    half_of_another_scene,
    is_cut,
    is_partly_cut,
    region_of,
)
from tests.scenes import (
    BACKGROUND,
    HEIGHT,
    WIDTH,
    frame_of,
    instances_of,
    overlap,
    scene,
    texture,
)


@pytest.mark.parametrize(
    ("x", "y", "scale"), [(112, 67, 1.0), (94, 61, 1.0), (98, 58, 1.12), (103, 64, 0.9)]
)
def test_a_mask_follows_its_object(x, y, scale):
    before, inside = scene(100, 60)
    after, truth = scene(x, y, scale)
    found = instances_of(inside)
    moved = propagate(found, FlowMeter().between(before, after))
    assert overlap(moved.full_masks()[0], truth) > 0.86
    assert overlap(moved.full_masks()[0], truth) > overlap(inside, truth) + 0.05
    assert moved.masks.shape == found.masks.shape
    assert moved.track_ids is not None and moved.track_ids.tolist() == [7]


def test_flow_of_half_size_carries_instances_of_the_whole_picture():
    before, inside = scene(100, 60)
    after, truth = scene(105, 63)
    half = [cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            for grey in (before, after)]  # fmt: skip
    moved = propagate(instances_of(inside), FlowMeter().between(*half))
    assert overlap(moved.full_masks()[0], truth) > max(0.8, overlap(inside, truth) + 0.05)


SHIFT = np.float32([12, -5, 12, -5])


def zoom(height, width, by=0.1):
    """A flow away from the upper left corner, so much of the way to it, of a picture that size."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32) + 0.5
    return by * np.stack([columns, rows], axis=2)


def test_flows_of_any_size_say_the_same_of_one_picture():
    found = instances_of(scene(100, 60)[1])
    carried = Carried(found)
    truth = 1.1 * found.boxes
    for shape in ((HEIGHT, WIDTH), (HEIGHT // 4, WIDTH // 4), (HEIGHT // 2, WIDTH // 2)):
        moved = carried.along(zoom(*shape))
        # A side moves as the cells next to it do, which lie a little further in.
        np.testing.assert_allclose(moved.boxes, truth, atol=1.5)
        np.testing.assert_allclose(moved.boxes, propagate(found, zoom(*shape)).boxes, atol=1e-3)
        np.testing.assert_allclose(moved.boxes, carried.along(zoom(HEIGHT, WIDTH)).boxes, atol=0.5)


def test_masks_that_reach_beyond_their_boxes_move_with_them():
    found = instances_of(scene(100, 60)[1])
    inner = found.boxes + np.array([[8, 6, -8, -6]], np.float32)
    both = replace(found, boxes=inner, mask_boxes=found.boxes)
    flow = np.full((HEIGHT, WIDTH, 2), SHIFT[:2], np.float32)
    moved = propagate(both, flow)
    np.testing.assert_allclose(moved.boxes, inner + SHIFT, atol=0.01)
    np.testing.assert_allclose(moved.mask_boxes, found.boxes + SHIFT, atol=0.01)
    assert propagate(found, flow).mask_boxes is None


def test_a_narrow_box_is_not_turned_inside_out_where_its_wide_mask_becomes_narrower():
    """Records with such a box were refused when they were read back."""
    found = instances_of(scene(100, 60)[1])
    middle = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    narrow = np.concatenate([middle - np.float32(2), middle + np.float32(2)], axis=1)
    both = replace(found, boxes=narrow, mask_boxes=found.boxes)
    moved = propagate(both, zoom(HEIGHT, WIDTH, by=-0.3))
    np.testing.assert_allclose(moved.boxes[:, 2:] - moved.boxes[:, :2], 4, atol=1e-3)
    middles = (moved.mask_boxes[:, :2] + moved.mask_boxes[:, 2:]) / 2
    np.testing.assert_allclose((moved.boxes[:, :2] + moved.boxes[:, 2:]) / 2, middles, atol=0.01)


def test_a_mask_that_reaches_its_threshold_nowhere_is_carried_too():
    found = instances_of(scene(100, 60)[1])
    faint = replace(found, masks=found.masks * np.float32(0.4))
    flow = np.full((HEIGHT, WIDTH, 2), SHIFT[:2], np.float32)
    np.testing.assert_allclose(propagate(faint, flow).boxes, found.boxes + SHIFT, atol=0.01)


def test_what_was_carried_to_a_picture_of_another_size_lies_where_it_did_in_it():
    found = instances_of(scene(100, 60)[1])
    found = replace(found, mask_boxes=found.boxes + np.float32(2), unsure=found)
    same, large = (
        frame_of(cv2.resize(BACKGROUND, size)).image
        for size in ((WIDTH, HEIGHT), (3 * WIDTH, 2 * HEIGHT))
    )
    assert in_size(None, large) is None and in_size(found, same) is found
    grown = in_size(found, large)
    for one, before in ((grown, found), (grown.unsure, found.unsure)):
        assert one.picture_size == (2 * HEIGHT, 3 * WIDTH)
        np.testing.assert_allclose(one.boxes, before.boxes * np.float32([3, 2, 3, 2]))
    np.testing.assert_allclose(grown.mask_boxes, found.mask_boxes * np.float32([3, 2, 3, 2]))
    assert grown.unsure.mask_boxes is None


def test_without_motion_nothing_changes():
    picture, inside = scene(100, 60)
    found = instances_of(inside)
    moved = propagate(found, FlowMeter().between(picture, picture))
    np.testing.assert_allclose(moved.boxes, found.boxes, atol=0.05)
    np.testing.assert_allclose(moved.masks, found.masks, atol=0.05)


def test_what_leaves_the_picture_is_left_out():
    found = instances_of(scene(100, 60)[1])
    gone = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    gone[..., 0] = 500
    assert len(propagate(found, gone)) == 0
    empty = Instances.empty(("thing",), (HEIGHT, WIDTH))
    assert len(propagate(empty, gone)) == 0


def test_what_is_behind_an_object_moves_it_by_nothing():
    """Measured motion is smooth across an outline, and mixes both there."""
    inside = scene(100, 60)[1]
    found = instances_of(inside)
    flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    flow[..., 0] = cv2.GaussianBlur(np.where(inside, 12, -4).astype(np.float32), (0, 0), 3)
    moved = propagate(found, flow)
    np.testing.assert_allclose(moved.boxes, found.boxes + np.float32([12, 0, 12, 0]), atol=5)
    truth = np.roll(inside, 12, axis=1)
    assert overlap(moved.full_masks()[0], truth) > 0.85


def test_an_object_whose_sides_would_pass_each_other_stays_where_it_was():
    found = instances_of(scene(100, 60)[1])
    middle = found.boxes[0, [0, 2]].mean()
    flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    flow[..., 0] = np.where(np.arange(WIDTH) < middle, 60, -60)
    np.testing.assert_array_equal(propagate(found, flow).boxes, found.boxes)


@given(seed=st.integers(0, 2**31), size=st.floats(0, 200), count=st.integers(1, 5))
def test_any_flow_gives_sound_instances(seed, size, count):
    random = np.random.default_rng(seed)
    flow = random.normal(0, size, (30, 40, 2)).astype(np.float32)
    corner = random.uniform(-20, 300, (count, 2)).astype(np.float32)
    boxes = np.concatenate([corner, corner + random.uniform(0, 200, (count, 2))], axis=1)
    found = Instances(
        boxes=boxes.astype(np.float32),
        scores=np.linspace(0.9, 0.1, count).astype(np.float32),
        labels=np.zeros(count, np.int64),
        masks=random.uniform(0, 1, (count, 14, 14)).astype(np.float32),
        class_names=("thing",),
        picture_size=(HEIGHT, WIDTH),
    )
    moved = propagate(found, flow)
    assert len(moved) <= count
    assert np.isfinite(moved.boxes).all() and (moved.boxes[:, 2:] >= moved.boxes[:, :2]).all()
    assert moved.masks.dtype == np.float32
    assert ((moved.masks >= 0) & (moved.masks <= 1)).all()


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p10le", "gray", "gray16le"])
@pytest.mark.parametrize("size", [(1280, 720), (640, 480), (641, 479), (100, 30), (20, 12)])
def test_the_small_grey_picture_shows_the_luma(pixel_format, size):
    luma = cv2.resize(BACKGROUND, size)
    picture = frame_of(luma, pixel_format=pixel_format).image
    small = small_grey(picture)
    assert small.dtype == np.uint8 and min(small.shape) >= 16
    assert max(small.shape) <= 420
    wanted = cv2.resize(luma, small.shape[::-1], interpolation=cv2.INTER_AREA)
    # The range of luma may be limited or full; what matters is the structure. swscale, which made
    # the picture, is itself some levels off at the edges of very small ones.
    limit = 0.98 if min(size) > 16 else 0.95
    assert np.corrcoef(small.ravel(), wanted.ravel())[0, 1] > limit


def test_what_is_unsure_moves_as_well():
    propagator = Propagator()
    before, inside = scene(100, 60)
    there = instances_of(inside)
    nothing = Instances.empty(there.class_names, there.picture_size)
    after = scene(105, 60)[0]
    propagator.set_key(before, replace(nothing, unsure=there))
    moved = propagator.propagate_to(after)
    propagator.set_key(before, there)
    assert len(moved) == 0 and moved.unsure == propagator.propagate_to(after)
    assert moved.unsure.boxes[0, 0] > there.boxes[0, 0]


def test_a_new_scene_or_size_ends_the_carrying():
    propagator = Propagator()
    before, inside = scene(100, 60)
    assert propagator.propagate_to(before) is None
    propagator.set_key(before, instances_of(inside))
    moved = propagator.propagate_to(scene(105, 60)[0])
    assert moved is not None and len(moved) == 1
    assert propagator.propagate_to(texture(HEIGHT, WIDTH, 9)) is None
    assert propagator.propagate_to(before[:120, :160]) is None
    propagator.set_key(before, instances_of(inside)[:0])
    assert propagator.propagate_to(scene(105, 60)[0]) == instances_of(inside)[:0]
    assert propagator.propagate_to(texture(HEIGHT, WIDTH, 9)) is None, "nobody knows who is there"
    assert not is_cut(np.zeros((24, 32), np.uint8), np.full((24, 32), 3, np.uint8))


@pytest.mark.parametrize("fitting", [False, True])
def test_what_is_carried_is_what_the_latest_inference_found(fitting):
    propagator = Propagator()
    for x, y in ((100, 60), (108, 62), (116, 64), (124, 66)):
        picture, inside = scene(x, y)
        propagator.set_key(picture, instances_of(inside))
        after, truth = scene(x + 3, y + 1)
        moved = propagator.propagate_to(after, fitting=fitting)
        assert moved is not None
        assert overlap(moved.full_masks()[0], truth) > 0.85, (x, y)


def test_pictures_of_different_sizes_are_different_scenes():
    picture, _ = scene(100, 60)
    smaller = np.ascontiguousarray(picture[:-8, :-8])
    assert is_cut(picture, smaller)
    assert not is_cut(picture, picture)
    assert half_of_another_scene(picture, smaller) is None


@pytest.mark.parametrize("fine", [True, False])
def test_motion_around_the_objects_is_all_that_is_needed(fine):
    height, width = 4 * HEIGHT, 4 * WIDTH
    large = [texture(height, width, 5) for _ in range(2)]
    (before, inside), (after, truth) = scene(100, 60), scene(105, 63)
    place = slice(HEIGHT, 2 * HEIGHT), slice(2 * WIDTH, 3 * WIDTH)
    large[0][place], large[1][place] = before, after
    whole = np.zeros((2, height, width), bool)
    whole[0][place], whole[1][place] = inside, truth
    found = instances_of(whole[0])
    region = region_of(found, large[0])
    assert large[0][region].size < 0.1 * large[0].size
    propagator = Propagator()
    propagator.fine = fine
    propagator.set_key(large[0], found)
    moved = propagator.propagate_to(large[1]).full_masks()[0]
    meter = FlowMeter()
    meter.fine = fine
    wholly = propagate(found, meter.between(*large)).full_masks()[0]
    assert overlap(moved, whole[1]) > overlap(wholly, whole[1]) - 0.02
    assert overlap(moved, whole[1]) > overlap(whole[0], whole[1]) + 0.05


@given(
    st.tuples(st.integers(16, 90), st.integers(16, 90)),
    st.lists(st.tuples(*[st.floats(-50, 200)] * 4), max_size=3),
)
def test_a_region_lies_in_the_picture_and_is_large_enough_for_motion(size, corners):
    boxes = np.array(corners, np.float32).reshape(-1, 4)
    boxes[:, 2:] = np.maximum(boxes[:, :2], boxes[:, 2:])
    count = len(boxes)
    found = Instances(
        boxes, np.ones(count, np.float32), np.zeros(count, np.int64),
        np.ones((count, 4, 4), np.float32), ("a",), (150, 150),
    )  # fmt: skip
    grey = np.zeros(size, np.uint8)
    rows, columns = region_of(found, grey)
    for part, whole in zip((rows, columns), size, strict=True):
        assert 0 <= part.start < part.stop <= whole
        assert part.stop - part.start >= min(64, whole)
    FlowMeter().between(grey[rows, columns].copy(), grey[rows, columns].copy())


def test_motion_is_measured_in_pictures_of_one_size_after_the_other():
    meter, rng = FlowMeter(), np.random.default_rng(1)
    for number in range(40):
        height, width = rng.integers(64, 300, 2).tolist()
        before = texture(height, width, number)
        after = np.roll(before, 3, axis=1)
        meter.fine = number % 3 != 0
        flow = None
        for _ in range(3):  # with the one before as a guess, as for each picture of a film
            flow = meter.between(before, after, flow)
        inside = flow[16:-16, 16:-16, 0]
        assert flow.shape == (height, width, 2)
        assert abs(np.median(inside) - 3) < 0.5


def test_it_is_said_which_half_changed_and_who_is_in_it():
    rng = np.random.default_rng(3)
    before, other = (
        cv2.resize(rng.integers(0, 256, (12, 16), np.uint8), (128, 96)) for _ in range(2)
    )
    masks = np.ones((4, 8, 8), np.float32)
    # Above on the left, below on the left, above on the right and below on the right.
    boxes = np.array([[8, 4, 40, 36], [8, 60, 40, 92], [80, 4, 120, 36], [80, 60, 120, 92]])
    four = Instances(
        boxes.astype(np.float32),
        np.ones(4, np.float32),
        np.zeros(4, np.int64),
        masks,
        picture_size=(96, 128),
        class_names=("thing",),
    )
    for axis, latter, place, there in (
        (0, False, np.s_[:48], [True, False, True, False]),
        (0, True, np.s_[48:], [False, True, False, True]),
        (1, False, np.s_[:, :64], [True, True, False, False]),
        (1, True, np.s_[:, 64:], [False, False, True, True]),
    ):
        after = before.copy()
        after[place] = other[place]
        half = half_of_another_scene(before, after)
        assert half == (axis, latter)
        assert half.of(four).tolist() == there


def test_a_half_that_changes_is_a_cut_only_beside_one_that_stands_still():
    rng = np.random.default_rng(3)
    before = cv2.resize(rng.integers(0, 256, (12, 16), np.uint8), (128, 96))
    other = cv2.resize(rng.integers(0, 256, (12, 16), np.uint8), (128, 96))
    half = before.copy()
    half[:, 64:] = other[:, 64:]
    assert is_partly_cut(before, half)
    assert not is_partly_cut(before, before)
    assert not is_partly_cut(before, other), "that is a whole one"
    moved = half.copy()
    moved[:, :64] = np.roll(before[:, :64], 4, axis=1)
    assert not is_partly_cut(before, moved), "who passes by close is no cut"
    passed = before.copy()
    passed[:, 100:] = other[:, 100:]
    assert not is_partly_cut(before, passed)
    lighter = before.copy()
    lighter[:, 64:] = 60 + (before[:, 64:] * 0.7).astype(np.uint8)
    assert not is_partly_cut(before, lighter), "that is the light"
    assert not is_partly_cut(before, before[:90])
