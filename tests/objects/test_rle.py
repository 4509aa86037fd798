import json

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from stream.errors import UsageError
from stream.objects import rle
from stream.objects.outlines import tight

pictures = npst.arrays(np.bool_, npst.array_shapes(min_dims=2, max_dims=2, max_side=40))


def whole(mask):
    return rle.encode(mask, (0, mask.shape[0], 0, mask.shape[1]), mask.shape)


def of_coco(mask):
    known = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(known["size"]), "counts": known["counts"].decode()}


@given(pictures)
@example(np.ones((5, 7), np.bool_))
@example(np.zeros((5, 7), np.bool_))
@example(np.ones((1, 1), np.bool_))
def test_any_mask_is_written_as_the_coco_api_does_and_read_back(mask):
    written = whole(mask)
    assert written == of_coco(mask)
    assert json.loads(json.dumps(written)) == written
    np.testing.assert_array_equal(rle.decode(written), mask)
    np.testing.assert_array_equal(coco.decode(written), mask)


@given(pictures, st.tuples(*[st.integers(0, 9)] * 4))
def test_a_window_is_its_part_of_the_picture(inside, margins):
    above, below, left, right = margins
    mask = np.pad(inside, ((above, below), (left, right)))
    window = (above, above + inside.shape[0], left, left + inside.shape[1])
    assert rle.encode(inside, window, mask.shape) == of_coco(mask)


@given(pictures, st.tuples(*[st.integers(0, 9)] * 4))
@example(np.ones((5, 7), np.bool_), (0, 0, 0, 0))
@example(np.zeros((5, 7), np.bool_), (0, 0, 0, 0))
@example(np.eye(2, dtype=np.bool_)[::-1], (0, 0, 1, 1))
def test_the_part_that_holds_a_mask_is_read_alone(inside, margins):
    above, below, left, right = margins
    mask = np.pad(inside, ((above, below), (left, right)))
    size, part = rle.decode_part(of_coco(mask))
    assert size == mask.shape
    wanted = tight(mask)
    if wanted is None or part is None:
        assert part is wanted
    else:
        assert part[0] == wanted[0]
        np.testing.assert_array_equal(part[1], wanted[1])


def test_a_small_mask_costs_no_more_in_a_picture_of_any_size():
    side = 1_000_000
    counts = [3 * side + 5, 2, side - 2, 2, side * side - 4 * side - 7]
    size, part = rle.decode_part({"size": [side, side], "counts": counts})
    assert size == (side, side) and part is not None
    window, inside = part
    assert window == (5, 7, 3, 5) and inside.all()


def test_runs_of_nothing_are_passed_over():
    mask = np.zeros((3, 4), np.bool_)
    mask[1:, 1] = True
    found = rle.decode({"size": [3, 4], "counts": [2, 0, 2, 2, 0, 0, 5, 0, 1]})
    np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize("sides", [(1080, 1920), (1, 70000), (70000, 1)])
def test_long_runs_are_written_as_the_coco_api_does(sides):
    height, width = sides
    y, x = np.mgrid[:height, :width]
    mask = np.hypot(y - height / 2, (x - width / 2) * 0.7) < 400
    assert whole(mask) == of_coco(mask)
    np.testing.assert_array_equal(rle.decode(of_coco(mask)), mask)


def test_counts_may_be_bytes_or_plain_numbers():
    mask = np.zeros((3, 4), np.bool_)
    mask[1:, 1:3] = True
    written = whole(mask)
    for counts in (written["counts"].encode(), [4, 2, 1, 2, 3]):
        np.testing.assert_array_equal(rle.decode({"size": [3, 4], "counts": counts}), mask)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"size": [3, 4]},
        {"size": [3], "counts": "0"},
        {"size": [3, 4], "counts": None},
        {"size": [3, 4], "counts": ""},
        {"size": [3, 4], "counts": "="},
        {"size": [3, 4], "counts": "o"},
        {"size": [3, 4], "counts": "ü"},
        {"size": [3, 4], "counts": " "},
        {"size": [3, 4], "counts": "o" * 20 + "0"},
        {"size": [3, 4], "counts": [13]},
        {"size": [3, 4], "counts": [2**70]},
        {"size": [float("inf"), 4], "counts": [12]},
        {"size": [3, 4], "counts": [14, -2]},
        {"size": [-3, -4], "counts": [12]},
    ],
)
def test_what_is_no_mask_is_refused_with_a_sentence(wrong):
    with pytest.raises(UsageError, match="run lengths"):
        rle.decode(wrong)
