"""Masks that reach beyond their boxes: a model says in `mask_boxes` where they lie."""

import dataclasses
from fractions import Fraction

import av
import numpy as np
import pytest

from stream.compositing import Painter, Style
from stream.errors import ModelError
from stream.frame import Frame
from stream.inference.contract import Geometry, check_tensors, outputs_to_read
from stream.inference.postprocess import Raw, to_instances
from stream.motion.propagate import propagate

NAMES = ("thing",)
PLAIN = Geometry((100, 80), (100, 80), (0, 0), (100, 80))
HALVED = Geometry((200, 160), (100, 80), (0, 0), (100, 80))


def raw_of(box: list[float], frame: list[float]) -> Raw:
    return Raw(
        np.array([box], np.float32),
        np.array([0.9], np.float32),
        np.array([0], np.int64),
        np.ones((1, 28, 28), np.float32),
        np.array([frame], np.float32),
    )


def found_of(raw: Raw, geometry: Geometry = PLAIN):
    return to_instances(raw, geometry, NAMES, threshold=0.5, mask_threshold=0.5)


def rows_and_columns(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def test_a_mask_lies_in_its_frame_and_the_box_stays() -> None:
    found = found_of(raw_of([20, 20, 40, 40], [16, 17, 46, 44]))
    np.testing.assert_array_equal(found.boxes, [[20, 20, 40, 40]])
    assert rows_and_columns(found.full_masks()[0]) == (17, 44, 16, 46)


def test_frames_are_mapped_to_the_picture_like_boxes() -> None:
    found = found_of(raw_of([20, 20, 40, 40], [16, 17, 46, 44]), HALVED)
    np.testing.assert_array_equal(found.boxes, [[40, 40, 80, 80]])
    np.testing.assert_array_equal(found.paste_boxes, [[32, 34, 92, 88]])


def test_a_frame_outside_is_cut_with_its_mask() -> None:
    raw = raw_of([0, 20, 40, 40], [-30, 20, 30, 40])
    raw.masks[0, :, :14] = 0
    found = found_of(raw)
    np.testing.assert_array_equal(found.paste_boxes, [[0, 20, 30, 40]])
    assert rows_and_columns(found.full_masks()[0])[2:] == (0, 30)


def test_without_frames_the_boxes_are_the_frames() -> None:
    found = found_of(raw_of([20, 20, 40, 40], [0, 0, 1, 1])._replace(mask_boxes=None))
    assert found.mask_boxes is None
    np.testing.assert_array_equal(found.paste_boxes, found.boxes)


def test_choosing_instances_chooses_their_frames() -> None:
    found = found_of(raw_of([20, 20, 40, 40], [16, 17, 46, 44]))
    assert len(found.select(np.array([False])).paste_boxes) == 0
    with pytest.raises(ValueError, match="differ in length"):
        dataclasses.replace(found, mask_boxes=np.zeros((2, 4), np.float32))


def test_carrying_moves_box_and_frame_alike() -> None:
    found = found_of(raw_of([20, 20, 40, 40], [16, 17, 46, 44]))
    flow = np.zeros((80, 100, 2), np.float32)
    flow[...] = (5, 3)
    moved = propagate(found, flow)
    np.testing.assert_allclose(moved.boxes, [[25, 23, 45, 43]], atol=0.01)
    np.testing.assert_allclose(moved.paste_boxes, [[21, 20, 51, 47]], atol=0.01)


@pytest.mark.parametrize("look", ["binary", "overlay"])
def test_looks_paint_the_whole_frame(look: str) -> None:
    found = found_of(raw_of([20, 20, 40, 40], [10, 10, 60, 60]))
    grey = np.full((80, 100, 3), 90, np.uint8)
    picture = av.VideoFrame.from_ndarray(grey, "rgb24").reformat(format="yuv420p")
    before = picture.to_ndarray().copy()
    frame = Frame(picture, 0, 0, Fraction(1, 25), instances=found)
    Painter(look, Style(label="none")).paint(frame)
    after = frame.image.to_ndarray()[:80, :100]
    beside = after[50:58, 50:58]
    assert (beside != before[50:58, 50:58]).all()
    if look == "binary":
        assert (beside == after[30, 30]).all()


def test_frames_of_another_shape_are_refused() -> None:
    raw = raw_of([20, 20, 40, 40], [16, 17, 46, 44])
    with pytest.raises(ModelError, match="breaks the contract"):
        found_of(raw._replace(mask_boxes=np.zeros((2, 4), np.float32)))


def test_the_contract_takes_frames_but_does_not_need_them() -> None:
    inputs = {"image": ("tensor(uint8)", [1, None, None, 3])}
    outputs = {
        "boxes": ("tensor(float)", [None, 4]),
        "scores": ("tensor(float)", [None]),
        "labels": ("tensor(int64)", [None]),
        "masks": ("tensor(float)", [None, 28, 28]),
    }
    check_tensors(inputs, outputs)
    # Files of version 1 call the output `frames`.
    for name in ("mask_boxes", "frames"):
        check_tensors(inputs, outputs | {name: ("tensor(float)", [None, 4])})
        assert outputs_to_read([*outputs, name])[-1] == name
        with pytest.raises(ModelError, match="mask_boxes"):
            check_tensors(inputs, outputs | {name: ("tensor(int64)", [None, 4])})
    assert outputs_to_read(list(outputs)) == ["boxes", "scores", "labels", "masks"]
