"""Cells of a grid as bits in words of 64, as compiled loops keep and join them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WORD = 64
"""Cells of a word, from its lowest bit on; the grid's first column is the first of a word."""


def words_of(left: int, right: int) -> int:
    """How many words columns of the grid lie in."""
    return -(-right // WORD) - left // WORD


def packed(inside: NDArray[np.uint8], left: int) -> NDArray[np.uint64]:
    """Cells as bits.

    Args:
        inside: uint8 [R, C], 1 or 0.
        left: the column of the grid that they begin at.

    Returns:
        uint64 [R, W].
    """
    columns = inside.shape[1]
    before = left % WORD
    beside = before, words_of(left, left + columns) * WORD - before - columns
    bits = np.packbits(np.pad(inside, ((0, 0), beside)), axis=1, bitorder="little")
    return bits.view(np.uint64)


def unpacked(words: NDArray[np.uint64], left: int, columns: int) -> NDArray[np.uint8]:
    """So many columns of cells from one of the grid on, uint8 [R, C], 1 or 0."""
    whole = np.ascontiguousarray(words).view(np.uint8)
    bits = np.unpackbits(whole, axis=1, bitorder="little")
    return bits[:, left % WORD :][:, :columns]
