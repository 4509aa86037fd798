"""Squares that a part of a picture is shown in."""

import numpy as np
import pytest

from stream.compositing.mosaic import block_size, coarse


@pytest.mark.parametrize(
    ("least", "longest", "grid", "size"),
    [
        (10, 60, (1, 1), 10),
        (10, 600, (2, 2), 94),
        (10, 610, (2, 2), 94),
        (3, 0, (4, 4), 4),
        (7, 0, (1, 4), 8),
        (0, 0, (1, 1), 2),
    ],
)
def test_squares_are_an_eighth_of_the_object_at_least(least, longest, grid, size):
    assert block_size(least, longest, grid) == size


def test_squares_at_the_picture_s_end_are_the_mean_of_what_there_is():
    rng = np.random.default_rng(1)
    plane = rng.integers(0, 256, (50, 70), np.uint8)
    shown = coarse(plane, (1, 1), (30, 50, 40, 70), 16, smooth=False)
    for row, column in ((30, 40), (49, 40), (30, 69), (49, 69)):
        top, left = row - row % 16, column - column % 16
        mean = plane[top : top + 16, left : left + 16].mean()
        assert abs(int(shown[row - 30, column - 40]) - mean) <= 2, (row, column)
