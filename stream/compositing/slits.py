"""Slits between covers, through which somebody would be seen."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

CLOSED = 2
"""Cells by which covers grow and shrink again: what is at most twice as wide between is covered."""


def without_slits(covered: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cells that are covered, and what is narrow between them or between one and an edge.

    Args:
        covered: uint8 [R, C], 1 or 0. Beyond its edges a plane counts for neither.

    Returns:
        uint8 [R, C], as the compiled loop `closed` has it.
    """
    side = 2 * CLOSED + 1
    return np.asarray(cv2.morphologyEx(covered, cv2.MORPH_CLOSE, square(side, side)), np.uint8)


@lru_cache(maxsize=64)
def square(rows: int, columns: int) -> NDArray[np.uint8]:
    """Ones, uint8 of such a shape."""
    return np.ones((rows, columns), np.uint8)
