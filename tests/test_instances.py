import re
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from faster_coco_eval.core import mask as coco

from stream import Instances
from stream.instances import box_iou
from stream.objects import rle
from stream.objects.instance import Instance
from tests.export.lazily import lazily

binary_fill_holes = lazily("scipy.ndimage", "binary_fill_holes")


def three():
    masks = np.zeros((3, 28, 28), np.float32)
    masks[:, 7:21, 7:21] = 1
    return Instances(
        boxes=np.array([[10, 10, 66, 66], [0, 0, 56, 28], [90, 90, 146, 146]], np.float32),
        scores=np.array([0.9, 0.8, 0.3], np.float32),
        labels=np.array([1, 0, 1]),
        masks=masks,
        class_names=("car", "person"),
        picture_size=(100, 120),
    )


def test_names_and_selection():
    found = three()
    assert found.names == ["person", "car", "person"]
    sure = found.select(found.scores > 0.5)
    assert len(sure) == 2
    assert sure.names == ["person", "car"]
    tracked = found.with_tracks(np.array([7, 8, 9])).select(np.array([2]))
    assert tracked.track_ids.tolist() == [9]


def test_full_masks_lie_where_their_box_says():
    full = three().full_masks()
    assert full.shape == (3, 100, 120)
    assert full.dtype == np.bool_
    # The mask's middle half fills the box's middle half: 28 of 56 pixels.
    rows, columns = np.nonzero(full[0])
    assert (rows.min(), rows.max() + 1) == (24, 52)
    assert (columns.min(), columns.max() + 1) == (24, 52)
    rows, columns = np.nonzero(full[1])
    assert (rows.min(), rows.max() + 1) == (7, 21)
    assert (columns.min(), columns.max() + 1) == (14, 42)
    assert full[2].any() == (full[2][:, 100:].any()), "cut at the picture's edge"


def test_nothing_found():
    none = Instances.empty(("person",), (48, 64))
    assert len(none) == 0
    assert none.full_masks().shape == (0, 48, 64)
    assert none.names == []


def test_arrays_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match="differ in length"):
        Instances(
            boxes=np.zeros((2, 4), np.float32),
            scores=np.zeros(1, np.float32),
            labels=np.zeros(2, np.int64),
            masks=np.zeros((2, 28, 28), np.float32),
            class_names=("person",),
            picture_size=(10, 10),
        )
    with pytest.raises(ValueError, match=r"\[N, 4\]"):
        Instances(
            boxes=np.zeros((2, 5), np.float32),
            scores=np.zeros(2, np.float32),
            labels=np.zeros(2, np.int64),
            masks=np.zeros((2, 28, 28), np.float32),
            class_names=("person",),
            picture_size=(10, 10),
        )


def test_boxes_overlap_by_what_they_share_of_both():
    first = np.array([[0, 0, 10, 10], [20, 20, 20, 20]], np.float32)
    second = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10]], np.float32)
    overlaps = box_iou(first, second)
    np.testing.assert_allclose(overlaps, [[1, 1 / 3, 0], [0, 0, 0]], rtol=1e-6)
    assert box_iou(first, second[:0]).shape == (2, 0)


def test_an_index_picks_as_numpy_does():
    found = three().with_tracks(np.array([7, 8, 9]))
    assert found[found.scores > 0.5].track_ids.tolist() == [7, 8]
    assert found[1:].track_ids.tolist() == [8, 9]
    assert found[[2, 0]].track_ids.tolist() == [9, 7]
    assert found[np.array([2, 0])].track_ids.tolist() == [9, 7]
    assert found[[True, False, True]].track_ids.tolist() == [7, 9]
    assert len(found[[]]) == len(found[:0]) == 0
    assert found[:0].picture_size == found.picture_size
    assert found[-1] == found[2] == found[np.int64(2)]
    assert isinstance(found[0], Instance)
    assert found.select((2, 0)) == found[range(2, -1, -2)] == found[[2, 0]]
    assert len(found[np.array([])]) == len(found.select(np.array([]))) == 0
    assert found[np.array(1)].track_id == 8
    with pytest.raises(IndexError, match=r"no number .*were found"):
        found[3]


class Tensor:
    """Of one element, as PyTorch's is: an array, and a whole number too."""

    def __init__(self, value: int | bool) -> None:
        self.value = value

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Any:
        return np.array([self.value])

    def __index__(self) -> int:
        return int(self.value)


def test_an_index_for_several_axes_is_refused_as_of_an_array_that_has_one():
    found = three()
    for wrong, meant in (
        ((0, 1), "[0, 1]"),
        ((np.int64(2), 0, 1), "[2, 0, 1]"),
        ((0, slice(None)), "[0, 1]"),
        ((), "[0, 1]"),
        ((..., 0), "[0, 1]"),
    ):
        with pytest.raises(IndexError, match=re.escape(f"as found[{meant}]")):
            found[wrong]
    assert found[np.where(found.scores > 0.5)] == found[np.nonzero(found.scores > 0.5)] == found[:2]
    assert found[(1,)] == found[1]


def test_a_tensor_of_one_element_picks_as_one_of_more():
    found = three()[1:2]
    for several in (found.__getitem__, found.select):
        assert several(Tensor(True)) == several(Tensor(0)) == found
        assert len(several(Tensor(False))) == 0
    assert three()[Tensor(2)] == three()[2:]


@pytest.mark.parametrize(
    "index",
    [None, "0", b"0", 0.0, {0}, [0.5], [[0, 1]], np.ones((3, 3), bool), True, np.array(True)],
    ids=repr,
)
def test_what_picks_nothing_is_named(index: Any) -> None:
    with pytest.raises(IndexError, match="picks"):
        three()[index]


def test_a_single_instance_says_all_of_itself():
    found = three().with_tracks(np.array([7, 8, 9]))
    ones = list(found)
    assert [one.name for one in ones] == found.names
    assert [one.track_id for one in ones] == [7, 8, 9]
    assert [one.score for one in ones] == found.scores.tolist()
    for index, one in enumerate(ones):
        np.testing.assert_array_equal(one.full_mask(), found.full_masks()[index])
    assert ones[0].centroid == (38.0, 38.0)
    assert three()[0].track_id is None
    assert "person #7, 0.900" in repr(ones[0])


def test_areas_count_pixels_inside_the_picture():
    found = three()
    assert found.areas.tolist() == found.full_masks().sum(axis=(1, 2)).tolist()
    assert found.areas.dtype == np.int64
    outside = replace(found, boxes=found.boxes + np.float32(500))
    assert outside.areas.tolist() == [0, 0, 0]
    assert outside[0].centroid is None
    assert outside.polygons() == [[], [], []]
    assert not rle.decode(outside.rle()[0]).any()


def test_instances_are_equal_by_value_and_have_no_hash():
    assert three() == three()
    assert three() != three()[:2]
    assert three() != three().with_tracks(np.array([1, 2, 3]))
    assert three() != replace(three(), mask_threshold=0.4)
    assert three() != replace(three(), scores=three().scores + np.float32(1e-7))
    assert three() != "three"
    assert three()[0] == three()[0] != three()[1]
    assert (three() == None) is False  # noqa: E711
    for unhashable in (three(), three()[0]):
        with pytest.raises(TypeError, match="unhashable"):
            hash(unhashable)


def test_the_repr_says_what_there_is():
    assert repr(three()).splitlines() == [
        "Instances: 2 person, 1 car in a picture of 120x100",
        "  boxes: float32 [3, 4]",
        "  scores: float32 [3]",
        "  labels: int64 [3]",
        "  masks: float32 [3, 28, 28]",
    ]
    assert repr(Instances.empty(("person",), (48, 64))).startswith("Instances: nothing in a")


def blobs(height=90, width=120, count=4, seed=0):
    """Bool [count, height, width] with parts, holes and single pixels; the last is empty."""
    rng = np.random.default_rng(seed)
    noise = np.stack([cv2.GaussianBlur(rng.random((height, width)), (0, 0), 3) for _ in range(3)])
    masks = np.zeros((count, height, width), np.bool_)
    masks[:3] = noise > np.quantile(noise, 0.6, axis=(1, 2), keepdims=True)
    masks[1, 0, 0] = masks[1, 45, 60] = True
    return masks


def test_polygons_fill_to_the_mask_with_its_holes_closed():
    masks = blobs()
    found = Instances.from_full_masks(masks, class_names=("blob",), picture_size=(90, 120))
    for mask, parts in zip(masks, found.polygons(), strict=True):
        filled = np.zeros(mask.shape, np.uint8)
        for ring in parts:
            assert ring.dtype == np.int32
            assert ring.shape == (len(ring), 2)
            cv2.fillPoly(filled, [ring], 1)
        np.testing.assert_array_equal(filled.astype(bool), binary_fill_holes(mask))
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="the tolerance is pixels, 0 or more"):
            found.polygons(tolerance=wrong)
    exact, simple = found.polygons()[0], found.polygons(tolerance=1.5)[0]
    assert sum(map(len, simple)) < sum(map(len, exact)) / 2


def test_full_masks_come_back_pixel_for_pixel():
    masks = blobs()
    found = Instances.from_full_masks(
        masks,
        class_names=("car", "blob"),
        picture_size=(90, 120),
        scores=[0.5, 0.9, 0.7, 0.6],
        labels=[1, 1, 0, 1],
        track_ids=[4, 3, 2, 1],
    )
    assert found.track_ids.tolist() == [3, 2, 1, 4]
    np.testing.assert_array_equal(found.full_masks(), masks[[1, 2, 3, 0]])
    assert found.areas[2] == 0
    again = Instances.from_rle(
        found.rle(),
        class_names=found.class_names,
        picture_size=found.picture_size,
        scores=found.scores,
        labels=found.labels,
        boxes=found.boxes,
        track_ids=found.track_ids,
    )
    assert again == found


def test_run_lengths_of_one_mask_are_told_from_several():
    given = three()
    with pytest.raises(ValueError, match="run lengths are several: give a list"):
        Instances.from_rle(
            given.rle()[0], class_names=given.class_names, picture_size=given.picture_size
        )


def test_run_lengths_of_real_masks_are_those_of_their_pixels():
    found = three()
    for one, mask in zip(found.rle(), found.full_masks(), strict=True):
        np.testing.assert_array_equal(rle.decode(one), mask)
        np.testing.assert_array_equal(coco.decode(one), mask)


def test_a_full_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        Instances.from_full_masks(blobs(), class_names=("blob",), picture_size=(90, 121))


def test_mirrored_masks_are_the_masks_mirrored():
    found = three()
    odd = replace(found, masks=np.random.default_rng(0).random((3, 28, 28)).astype(np.float32))
    assert (odd.mirrored().full_masks() == odd.full_masks()[:, :, ::-1]).mean() > 0.999
    apart = replace(odd, mask_boxes=odd.boxes + np.array([-4, -3, 2, 5], np.float32))
    assert (apart.mirrored().full_masks() == apart.full_masks()[:, :, ::-1]).mean() > 0.999
    twice = odd.mirrored().mirrored()
    assert (twice.masks == odd.masks).all() and np.allclose(twice.boxes, odd.boxes)
