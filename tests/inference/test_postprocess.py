from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import ModelError, UsageError
from stream.inference.contract import Geometry, Resize
from stream.inference.postprocess import Raw, class_indices, to_instances

NAMES = ("person", "car", "dog")
PLAIN = Geometry((100, 100), (100, 100), (0, 0), (100, 100))


def raw_of(boxes, scores=None, labels=None, masks=None) -> Raw:
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    count = len(boxes)
    return Raw(
        boxes,
        np.asarray([0.9] * count if scores is None else scores, np.float32),
        np.asarray([0] * count if labels is None else labels, np.int64),
        np.ones((count, 28, 28), np.float32) if masks is None else np.asarray(masks, np.float32),
    )


def found_of(raw: Raw, geometry: Geometry = PLAIN, threshold: float = 0.5, **options):
    return to_instances(raw, geometry, NAMES, threshold=threshold, mask_threshold=0.5, **options)


RESIZES = [
    Resize("shortest_edge", shortest=400, longest=666, multiple_of=32),
    Resize("shortest_edge", shortest=400, longest=666, multiple_of=64, anchor="centre"),
    Resize("letterbox", width=320, height=240),
    Resize("letterbox", width=320, height=240, anchor="centre", rounding="round"),
    Resize("stretch", width=333, height=222),
    Resize("native"),
    Resize("native", multiple_of=32, anchor="centre"),
]


@given(
    st.sampled_from(RESIZES),
    st.tuples(st.integers(8, 4000), st.integers(8, 4000)),
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_a_box_comes_back_to_where_it_was(
    resize: Resize, size: tuple[int, int], corners: list[float]
) -> None:
    width, height = size
    x1, x2 = sorted((corners[0] * width, corners[1] * width))
    y1, y2 = sorted((corners[2] * height, corners[3] * height))
    if x2 - x1 < 1 or y2 - y1 < 1:
        return
    geometry = resize.geometry(width, height)
    # Forward: where the picture's pixel lies in the input.
    forward = [
        x1 * geometry.content[0] / width + geometry.offset[0],
        y1 * geometry.content[1] / height + geometry.offset[1],
        x2 * geometry.content[0] / width + geometry.offset[0],
        y2 * geometry.content[1] / height + geometry.offset[1],
    ]
    found = found_of(raw_of([forward]), geometry)
    # float32 in the input, times the scale back.
    slack = 1e-3 * max(1.0, *geometry.scale) + 1e-6 * max(size)
    np.testing.assert_allclose(found.boxes, [[x1, y1, x2, y2]], atol=slack, rtol=1e-5)
    assert found.picture_size == (height, width)


def test_nothing_found() -> None:
    found = found_of(raw_of([]))
    assert len(found) == 0
    assert found.masks.shape == (0, 28, 28)
    assert found.full_masks().shape == (0, 100, 100)


def test_thresholds_and_order() -> None:
    boxes = [[0, 0, 10, 10], [0, 0, 20, 20], [0, 0, 30, 30], [0, 0, 40, 40]]
    found = found_of(raw_of(boxes, [0.2, 0.8, float("nan"), 0.9], [0, 1, 2, 2]), threshold=0.5)
    np.testing.assert_allclose(found.scores, [0.9, 0.8])
    assert found.names == ["dog", "car"]
    np.testing.assert_array_equal(found.boxes[:, 2], [40, 20])
    assert len(found_of(raw_of(boxes, [0.5, 0.49, 0.1, 0.0]), threshold=0.5)) == 1


def test_a_score_that_rounding_has_put_above_1_is_1_and_an_infinite_one_is_none() -> None:
    found = found_of(raw_of([[0, 0, 10, 10]] * 3, [1.0005, float("inf"), 0.9]))
    np.testing.assert_array_equal(found.scores, np.array([1, 0.9], np.float32))


def test_only_the_classes_asked_for() -> None:
    raw = raw_of([[0, 0, 9, 9]] * 3, [0.9, 0.8, 0.7], [0, 1, 2])
    assert found_of(raw, classes=frozenset({1, 2})).names == ["car", "dog"]
    assert found_of(raw, threshold=0.75, classes=frozenset({1, 2})).names == ["car"]


@pytest.mark.parametrize(
    "box",
    [
        [10, 10, 10, 20],
        [10, 20, 20, 10],
        [120, 10, 150, 20],
        [-30, -30, -10, -10],
        [float("nan"), 0, 10, 10],
        [0, 0, float("inf"), 10],
    ],
)
def test_boxes_without_an_area_in_the_picture_are_dropped(box: list[float]) -> None:
    assert len(found_of(raw_of([box, [0, 0, 5, 5]]))) == 1


def test_a_box_that_leaves_the_picture_takes_its_mask_along() -> None:
    # The left half of the box lies outside; the mask is set in its right third only.
    mask = np.zeros((1, 28, 28), np.float32)
    mask[0, :, 19:] = 1
    raw = raw_of([[-50, 20, 50, 60]], masks=mask)
    found = found_of(raw)
    np.testing.assert_array_equal(found.boxes, [[0, 20, 50, 60]])
    columns = found.full_masks()[0].any(axis=0)
    # 19 of 28 cells of 100 pixels from -50 on: pixel 17.9.
    assert np.flatnonzero(columns)[0] == pytest.approx(18, abs=1)
    assert np.flatnonzero(columns)[-1] >= 48


def test_a_hair_outside_leaves_the_mask_as_it_is() -> None:
    mask = np.random.default_rng(0).random((1, 28, 28), np.float32)
    found = found_of(raw_of([[-0.5, 20, 99.9, 100.4]], masks=mask))
    np.testing.assert_array_equal(found.masks, mask)
    np.testing.assert_array_equal(found.boxes[0, [0, 3]], [0, 100])


def test_of_a_mask_the_part_is_kept_that_its_frame_has_in_the_picture() -> None:
    # A ramp along both axes; each side of the frame is cut in turn, some of them at once.
    ramp = np.linspace(0, 1, 28, dtype=np.float32)
    mask = (ramp[:, None] + 2 * ramp[None]) / 3
    for box in ([-56, 10, 56, 66], [44, 10, 156, 66], [10, -28, 66, 84], [10, 60, 66, 172],
                [-28, -14, 28, 98], [72, 44, 128, 156]):  # fmt: skip
        found = found_of(raw_of([box], masks=mask[None]))
        x1, y1, x2, y2 = found.boxes[0]
        left, top, right, bottom = box
        # Where the cells' middles lie in the whole frame, in its cells.
        columns = ((x1 + (np.arange(28) + 0.5) * (x2 - x1) / 28) - left) / (right - left) * 28 - 0.5
        rows = ((y1 + (np.arange(28) + 0.5) * (y2 - y1) / 28) - top) / (bottom - top) * 28 - 0.5
        wanted = (np.clip(rows, 0, 27)[:, None] + 2 * np.clip(columns, 0, 27)[None]) / 27 / 3
        np.testing.assert_allclose(found.masks[0], wanted, atol=0.003, err_msg=str(box))


def test_half_a_cell_is_no_part_and_more_is_on_any_side() -> None:
    mask = np.random.default_rng(0).random((1, 28, 28), np.float32)
    for side in range(4):
        for beyond, same in ((0.4, True), (1.2, False)):
            box = np.array([0, 0, 100, 100], np.float32)
            box[side] += beyond * 100 / 28 * (-1 if side < 2 else 1)
            found = found_of(raw_of([box], masks=mask))
            assert np.array_equal(found.masks, mask) is same, (side, beyond)


def test_who_has_no_mask_in_the_picture_or_no_box_is_dropped() -> None:
    raw = raw_of([[0, 0, 9, 9], [0, 0, 9, 9], [120, 0, 130, 9], [0, 0, 0, 9], [0, 0, 5, 5]],
                 [0.9, 0.8, 0.7, 0.65, 0.2])  # fmt: skip
    reach = raw.boxes.copy()
    reach[1] = [0, 120, 9, 130]
    reach[2:4] = [0, 0, 9, 9]
    found = found_of(raw._replace(mask_boxes=reach))
    assert found.scores.tolist() == [np.float32(0.9)]
    assert found.mask_boxes is not None and found_of(raw).mask_boxes is None


def test_the_answer_is_the_callers_own() -> None:
    raw = raw_of([[0, 0, 10, 10]])
    found = found_of(raw)
    for array in raw[:4]:
        array[...] = 0
    assert found.boxes.any()
    assert found.scores.any()
    assert found.masks.all()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (raw_of([[0, 0, 1, 1]], labels=[3]), "it answered with label 3, but names 3 classes"),
        (raw_of([[0, 0, 1, 1]], labels=[-1]), "label -1"),
        (raw_of([[0, 0, 1, 1]] * 3, labels=[0, 4, 3]), "label 4, but names 3 classes"),
        (raw_of([[0, 0, 1, 1]] * 3, labels=[1, -1, -2]), "label -2"),
        (raw_of([[0, 0, 1, 1]] * 2, labels=[3, -1]), "label 3"),
        (raw_of([[0, 0, 1, 1]] * 2, scores=[0.5, 3.7]), r"a score of 3\.7, and scores are 0\.\.1"),
        (raw_of([[0, 0, 1, 1]])._replace(boxes=np.ones((1, 5), np.float32)), "contract: boxes"),
        (raw_of([[0, 0, 1, 1]], scores=[0.5, 0.4]), "breaks the contract"),
        (raw_of([[0, 0, 1, 1]], masks=np.ones((1, 28, 14))), "breaks the contract"),
        (raw_of([[0, 0, 1, 1]], masks=np.ones((2, 28, 28))), "breaks the contract"),
    ],
)
def test_an_answer_that_breaks_the_contract(raw: Raw, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        found_of(raw)


def test_class_names_as_people_write_them() -> None:
    assert class_indices("person,dog", NAMES) == {0, 2}
    assert class_indices([" Dog ", "CAR"], NAMES) == {1, 2}
    assert class_indices("cup,", ("cup", "bowl", "cup")) == {0, 2}
    assert class_indices("'dog, big', cup", ("dog", "dog, big", "cup")) == {1, 2}
    with pytest.raises(UsageError, match=r"no class 'big'.*; it has dog, 'dog, big'$"):
        class_indices("big", ("dog", "dog, big"))
    assert class_indices(" ,cup, ,bowl", ("cup", "bowl", "jug")) == {0, 1}


def test_of_very_many_classes_a_hundred_are_listed() -> None:
    many = [f"kind {number}" for number in range(101)]
    with pytest.raises(UsageError, match=r"kind 98, kind 99 and 1 more$"):
        class_indices("zebra", many)
    with pytest.raises(UsageError, match=r"kind 98, kind 99$"):
        class_indices("zebra", many[:100])


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("persn", r"no class 'persn' \(did you mean person\?\); it has person, car, dog$"),
        ("zebra", "no class 'zebra'; it has person, car, dog$"),
        ("", "list of classes is empty"),
        ([], "list of classes is empty"),
        (3, "classes are named, such as 'person', not 3"),
        ([3], "classes are named, such as 'person', not 3"),
    ],
)
def test_classes_that_the_model_lacks(wanted: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        class_indices(wanted, NAMES)
