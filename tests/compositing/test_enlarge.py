"""What is enlarged quickly is what is sampled exactly, but for what it says of itself."""

import numpy as np
import pytest

from stream.compositing.enlarge import WHOLE, bend, enlarged, spans
from stream.roi import sample_mask
from tests.compositing.pictures import figure

BOXES = [
    (20.3, 10.7, 161.2, 290.1),
    (10.45, 30.5, 410.8, 250.25),
    (-60.5, -41.2, 240.3, 260.3),
    (70.9, -100.4, 330.1, 340.0),
]
WINDOWS = [(0, 301, 0, 251), (37, 200, 51, 180), (120, 131, 90, 251)]


@pytest.mark.parametrize("near", [True, False])
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("box", BOXES)
def test_no_value_is_farther_off_than_is_said(box, window, near):
    for cells in (14, 28, 56):
        mask, place = figure(cells), np.float32(box)
        chosen = spans(mask, place, window, near=near)
        exact = sample_mask(mask, place, window)
        found = enlarged(mask, chosen).astype(np.float32) / WHOLE
        assert found.shape == exact.shape
        off = sum(span.off for span in chosen) * bend(mask)
        # Within the mask as well: a window may begin in the middle of it.
        assert np.abs(found - exact).max() <= off + 0.003


def test_cells_that_begin_nearly_with_a_pixel_are_found():
    off = {
        near: [
            sum(span.off for span in spans(figure(56), np.float32(box), WINDOWS[1], near=near))
            for box in BOXES
        ]
        for near in (True, False)
    }
    assert all(one <= other for one, other in zip(off[True], off[False], strict=True))
    assert sum(off[True]) < 0.5 * sum(off[False])


@pytest.mark.parametrize(
    "box", [(np.nan, 0, 100, 100), (0, 0, np.inf, 100), (0, 0, 60, 300), (0, 0, 300, 9000)]
)
def test_cells_that_are_too_small_or_too_large_are_none(box):
    assert spans(figure(56), np.float32(box), WINDOWS[0], near=True) is None
