"""What `tint.c` does: blending colours into objects, by how far a pixel is from their edge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.kernels.memory import (
    ADDRESS,
    LENGTH,
    NUMBER,
    PLANE,
    Function,
    Kind,
    Loops,
    address_of,
    plane_of,
    scratch_of,
)

WIDEST = 16384
"""Columns of a picture, at most, that are painted by these loops."""


class Object(NamedTuple):
    """An object of a picture.

    Attributes:
        mask: where in memory its mask begins at its window's first pixel; uint8 1 or 0, with half a
            square around the window.
        stride: how many bytes the mask's rows lie apart.
        bare: how much stays at most, of 256, where the mask is: 256 but for thin ones.
        window: where it lies, on the grid of the picture's planes.
        covered: whether anything may be in front of it.
        covers: whether it may be in front of anything.
        codes: its colour's values in each plane, three of them also where there is one plane.
    """

    mask: int
    stride: int
    bare: int
    window: tuple[int, int, int, int]
    covered: bool
    covers: bool
    codes: tuple[int, int, int]


class Tint(Loops):
    """Blends colours into objects."""

    kinds: ClassVar[dict[str, Kind]] = {
        "tint": (
            (
                *(LENGTH, ADDRESS, *PLANE, ADDRESS),
                *(NUMBER, ADDRESS, ADDRESS, NUMBER),
            ),
            None,
        ),
    }

    _tint: Function

    def tint(
        self,
        objects: Sequence[Object],
        ranks: NDArray[np.uint8] | None,
        side: int,
        shares: NDArray[np.uint16],
        planes: NDArray[np.int64],
    ) -> None:
        """Blends colours into objects, by how much of a square around each pixel is the object's.

        Each is painted where nothing is in front of it.

        Args:
            objects: what is farthest behind first; at most 255.
            ranks: uint8 of the picture's size, all 0; None where nothing is in front of anything.
            side: of the square around each pixel over which a mask is counted; odd, 3 to 15.
            shares: uint16 [256], how much of a pixel stays, of 256, by what was counted; 256 for 0.
            planes: int64 [1 or 3, 4] of the picture's planes, of at most `WIDEST` columns: where in
                memory its uint8 samples begin, how many bytes its rows lie apart, and rows and
                columns of the first for one of its own, 1 or 2 of both.
        """
        around, most = 2 * (side // 2), 0
        if ranks is not None:
            for one in objects:
                top, bottom, left, right = one.window
                most = max(most, (bottom - top + around) * (right - left + around))
        # In one array, as each costs more than what is in it.
        told = [
            number
            for mask, stride, bare, window, covered, covers, codes in objects
            for number in (mask, stride, bare, *window, covered, covers, *codes)
        ]
        numbers = np.array(told, np.int64)
        self._tint(
            len(objects),
            address_of(numbers),
            *((0, 0, 0) if ranks is None else (*plane_of(ranks), scratch_of(most))),
            side,
            address_of(shares),
            address_of(planes),
            len(planes),
        )
