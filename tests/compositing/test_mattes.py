import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.compositing.mattes import Edge, apart, matte, on_grid, union
from stream.roi import paste_mask
from tests.compositing.pictures import figure

ANY = st.one_of(
    st.floats(-50, 300, width=32),
    st.floats(-5000, 5000, width=32),
    st.sampled_from([float("nan"), float("inf"), float("-inf"), 0.0, 1.0, -1e30, 1e30, 1e-40]),
)


def full(mask, box, edge, size=(200, 240), threshold=0.5):
    return union(np.zeros(size, np.uint8), mask[None], np.float32([box]), threshold, edge).alpha


def hard(mask, box, size=(200, 240), threshold=0.5):
    whole = np.zeros(size, bool)
    found = paste_mask(mask, np.float32(box), size[1], size[0], threshold)
    if found is not None:
        (y1, y2, x1, x2), inside = found
        whole[y1:y2, x1:x2] = inside
    return whole


@given(
    st.tuples(ANY, ANY, ANY, ANY),
    st.floats(0, 60),
    st.floats(0.05, 0.95),
    st.sampled_from([14, 28, 56]),
)
def test_a_held_matte_is_whole_wherever_the_object_is(box, feather, threshold, cells):
    alpha = full(figure(cells), box, Edge(feather, True), threshold=threshold)
    assert (alpha[hard(figure(cells), box, threshold=threshold)] == 255).all()


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("feather", [0, 1, 3, 10, 40])
@pytest.mark.parametrize("box", [(60, 40, 160, 170), (100, 80, 120, 100), (-40, -40, 300, 300)])
def test_a_fade_is_as_wide_as_asked_and_centred_unless_held(held, feather, box):
    # As steep as a mask of which a model is sure.
    solid = np.ones((28, 28), np.float32)
    solid[:, (0, -1)], solid[:, (1, -2)] = 0.25, 0.75
    alpha = full(solid, box, Edge(feather, held)).astype(int)
    inside = hard(solid, box)
    rows = min(199, max(0, round((box[1] + box[3]) / 2)))
    row, edge = alpha[rows], inside[rows]
    between = (row > 0) & (row < 255)
    sides = int(edge[0] == 0) + int(edge[-1] == 0)
    if sides and box[2] - box[0] > 4 * feather:
        width = between.sum() / sides
        assert width <= 1.3 * feather + 2
        assert width >= 0.7 * feather - 2
    if held:
        assert (row[edge] == 255).all()
    elif sides and feather and box[2] - box[0] > 4 * feather:
        surplus = (row - 255 * edge)[row > 0].sum() / 255
        assert abs(surplus) < 1.5


def test_an_unsure_mask_fades_more_widely_than_a_sure_one():
    sure = np.clip((figure(28) - 0.5) * 4 + 0.5, 0, 1).astype(np.float32)
    unsure = np.clip((figure(28) - 0.5) * 0.6 + 0.5, 0, 1).astype(np.float32)
    box = (20, 10, 220, 190)
    widths = [
        np.count_nonzero((alpha > 0) & (alpha < 255))
        for alpha in (full(mask, box, Edge(3, False)) for mask in (sure, unsure))
    ]
    assert widths[1] > 1.5 * widths[0]


def test_objects_are_joined_and_outside_the_window_is_nothing():
    boxes = np.float32([(10, 10, 60, 90), (40, 50, 120, 150), (np.nan, 0, 1, 1), (500, 0, 600, 9)])
    masks = np.stack([figure()] * 4)
    joined = union(np.zeros((200, 240), np.uint8), masks, boxes, 0.5, Edge(3, True))
    parts = [full(figure(), box, Edge(3, True)) for box in boxes]
    assert np.array_equal(joined.alpha, np.maximum.reduce(parts))
    top, bottom, left, right = joined.window
    outside = joined.alpha.copy()
    outside[top:bottom, left:right] = 0
    assert not outside.any()
    nothing = union(np.zeros((9, 9), np.uint8), masks[:0], boxes[:0], 0.5, Edge(3, True))
    assert nothing.window is None
    assert matte(np.zeros((28, 28), np.float32), boxes[0], (200, 240), 0.5, Edge(3, True)) is None


def test_a_window_on_the_grid_holds_the_window():
    assert on_grid((3, 9, 5, 11), (50, 50), (2, 4)) == (2, 10, 4, 12)
    assert on_grid((3, 49, 5, 47), (49, 47), (2, 4)) == (2, 49, 4, 47)


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(1, 25), st.integers(0, 60), st.integers(1, 25)),
        max_size=12,
    )
)
def test_windows_apart_hold_all_and_do_not_touch(places):
    windows = [(top, top + high, left, left + wide) for top, high, left, wide in places]
    plane = np.zeros((90, 90), np.uint8)
    found = apart(windows)
    for top, bottom, left, right in found:
        # With a pixel around, as windows beside each other touch.
        assert not plane[max(0, top - 1) : bottom + 1, max(0, left - 1) : right + 1].any()
        plane[top:bottom, left:right] = 1
    assert all(plane[top:bottom, left:right].all() for top, bottom, left, right in windows)
    assert len(found) <= len(set(windows))
