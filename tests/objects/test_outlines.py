"""Masks that say exactly the same as pixels, in a bounded amount of memory."""

from __future__ import annotations

import numpy as np
import pytest

from stream.objects import outlines
from stream.objects.outlines import pixel_masks, tight
from stream.roi import paste_mask


def pasted(mask, box, shape):
    whole = np.zeros(shape, np.bool_)
    found = paste_mask(mask, box, shape[1], shape[0], 0.5)
    if found is not None:
        (top, bottom, left, right), inside = found
        whole[top:bottom, left:right] = inside
    return whole


def shapes():
    """A small mask, an empty one, and a large one with holes."""
    small, none, large = np.zeros((3, 90, 120), np.bool_)
    small[40:47, 100:109] = np.random.default_rng(1).random((7, 9)) > 0.5
    small[40, 100] = small[46, 108] = True
    rows, columns = np.indices(large.shape)
    large[:] = np.hypot((rows - 45) / 40, (columns - 60) / 55) < 1
    large[30:60, 50:70] = False
    return [small, none, large]


def test_pixels_come_back_as_they_were():
    boxes, masks, places = pixel_masks(map(tight, shapes()))
    assert masks.shape == (3, 109, 109) and boxes[0].tolist() == [100, 40, 109, 47]
    for mask, place, given in zip(masks, places, shapes(), strict=True):
        assert np.array_equal(pasted(mask, place, given.shape), given)


def test_where_they_would_take_too_much_memory_the_largest_alone_are_coarser(monkeypatch):
    monkeypatch.setattr(outlines, "_MOST_CELLS", 3 * 40 * 40)
    boxes, masks, places = pixel_masks(map(tight, shapes()))
    assert masks.shape == (3, 37, 37), "109 pixels in cells of three"
    assert boxes[2].tolist() == [6, 6, 115, 85]
    small, none, large = (
        pasted(mask, place, given.shape)
        for mask, place, given in zip(masks, places, shapes(), strict=True)
    )
    assert np.array_equal(small, shapes()[0]) and not none.any()
    assert masks[2].sum() * 9 == pytest.approx(shapes()[2].sum()), "no pixel is lost"
    differ = large ^ shapes()[2]
    assert 0 < differ.sum() < 0.03 * shapes()[2].sum()


def test_no_masks_are_none():
    boxes, masks, places = pixel_masks([])
    assert (boxes.shape, masks.shape, places.shape) == ((0, 4), (0, 1, 1), (0, 4))
    assert pixel_masks([None])[1].shape == (1, 1, 1)
