import numpy as np
import pytest

from stream import Instances
from stream.instances import box_iou


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
