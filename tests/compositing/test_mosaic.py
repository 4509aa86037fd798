"""Squares that a part of a picture is shown in."""

from types import SimpleNamespace

import numpy as np
import pytest

from stream.compositing import conceal
from stream.compositing.coverage import Grid
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


def test_squares_that_lie_in_two_covers_are_the_mean_of_what_was_there_before(monkeypatch):
    plane = np.tile(2 * np.arange(64, dtype=np.uint8), (64, 2))
    grid = Grid((64, 128), 4)
    bare = np.full(grid.cells, 255, np.uint8)
    bare[2:14, 2:6] = bare[2:14, 10:14] = 0
    windows = [(0, 16, 0, 8), (0, 16, 8, 16)]
    monkeypatch.setattr(conceal, "joined", lambda *_: bare)
    monkeypatch.setattr(conceal, "windows_of", lambda *_: windows)
    for dtype in (np.uint8, np.uint16):
        samples = plane.astype(dtype)
        planes = SimpleNamespace(samples=(samples,), steps=((1, 1),), narrow=dtype == np.uint8)
        how = {"values": None, "block": 64, "hard": True}
        conceal.conceal(SimpleNamespace(planes=planes, alpha=None), grid, (), **how)
        for columns in (slice(12, 20), slice(44, 52)):
            off = np.abs(samples[12:52, columns].astype(int) - plane.mean())
            assert off.max() <= 2, (dtype, columns)
