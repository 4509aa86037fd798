"""How many of a small square's pixels around each pixel are an object's."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.types import Array

Scratch = Callable[[str, tuple[int, int]], NDArray[np.uint8]]
"""Gives memory of any content under a name, for a height and a width."""
WORK = "work"
"""The name of what is soon overwritten: by the next step too, so that it stays in the cache."""

_BORDER = cv2.BORDER_REPLICATE | cv2.BORDER_ISOLATED


class Rimmed(NamedTuple):
    """A mask with pixels around it.

    Attributes:
        whole: uint8 1 or 0, all rows of it one after the other in memory; not to be written to.
        row: of `whole` in which the mask begins.
        column: the same.
    """

    whole: NDArray[np.uint8]
    row: int
    column: int


def rimmed(inside: NDArray[np.uint8], rim: int) -> Rimmed:
    """A mask with so many pixels on each side as its outermost are."""
    whole = cv2.copyMakeBorder(inside, rim, rim, rim, rim, _BORDER)
    return Rimmed(np.asarray(whole, np.uint8), rim, rim)


def counted(mask: Rimmed, rows: slice, columns: slice, side: int, scratch: Scratch) -> Array:
    """Counts a mask over the square around each pixel.

    The mask is added to itself, moved by a pixel, that sum to itself moved by two, and so on: sums
    of bytes that lie in one piece, which NumPy adds some thirty at a time, take half as long as
    OpenCV's running ones.

    Args:
        mask: with at least half a square around the pixels that are wanted.
        rows: that are wanted, from the mask's first.
        columns: the same.
        side: of the square; odd, 3 to 15, so that a count fits a byte.
        scratch: gives memory under the name `WORK`.

    Returns:
        uint8 of the rows and columns; to be used before the next is asked for.
    """
    half, width = side // 2, mask.whole.shape[1]
    first, left = mask.row + rows.start - half, mask.column + columns.start - half
    high = rows.stop - rows.start
    flat: Array = mask.whole[first : first + high + 2 * half].reshape(-1)
    size = flat.size
    memory = scratch(WORK, (3, size))
    places = (flat, memory[0], memory[1], memory[2])
    # Where a row ends its sums go on into the next one, but only beside what is wanted.
    place = 0
    for step in (1, width):
        sums, place = _sums(side, place)
        for one, other, moves, into in sums:
            move = moves * step
            np.add(places[one][: size - move], places[other][move:], places[into][: size - move])
    return places[place].reshape(-1, width)[:high, left : left + columns.stop - columns.start]


def wide(scratch: Scratch, size: tuple[int, int], name: str = WORK) -> NDArray[np.uint16]:
    """Memory for numbers of two bytes, uint16 of a (height, width)."""
    return scratch(name, (size[0], 2 * size[1])).view(np.uint16)


_Sum = tuple[int, int, int, int]


@lru_cache(maxsize=64)
def _sums(side: int, start: int) -> tuple[tuple[_Sum, ...], int]:
    """How so many values are summed in few steps: sums of 1, 2, 4, 8, and of these what it takes.

    Args:
        side: how many, odd, 3 to 15.
        start: in which place the values are; 0 is not written to.

    Returns:
        Which two places are added, by how many steps the second lies further on, and where to, of
        places 1 to 3; and in which the sums of all are at last.
    """
    sums: list[_Sum] = []
    power = found = start
    many, reached = 1, 1
    while 2 * many <= side:
        free = next(one for one in (1, 2, 3) if one not in (power, found))
        sums.append((power, power, many, free))
        power, many = free, 2 * many
        if side & many:
            into = found
            if found == start:
                into = next(one for one in (1, 2, 3) if one not in (power, found))
            sums.append((found, power, reached, into))
            found, reached = into, reached + many
    return tuple(sums), found
