from __future__ import annotations

import numpy as np
import pytest

from stream.objects.silhouettes import contour, likeness


def test_likeness_is_of_areas_and_of_contours_within_pixels():
    true = np.zeros((60, 80), bool)
    true[20:40, 20:60] = True
    assert likeness(true, true) == (1, 1, 1)
    beside = np.roll(true, 2, axis=1)
    found = likeness(beside, true)
    assert found.iou == pytest.approx(38 / 42)
    assert found.one < 0.8
    assert found.two == 1
    assert likeness(np.zeros_like(true), true) == (0, 0, 0)
    # A picture's rim is no contour.
    assert not contour(np.ones((9, 9), bool)).any()
