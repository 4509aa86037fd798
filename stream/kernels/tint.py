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
)

WIDEST = 16384
"""Columns of a picture, at most, that are painted by these loops."""


class Objects(NamedTuple):
    """Masks of a picture's objects.

    Attributes:
        masks: int64 [N, 3]: where in memory each begins at its window's first pixel, how many bytes
            its rows lie apart, and how much stays at most, of 256, where it is: 256 but for thin
            ones. uint8 1 or 0, with half a square around the window.
        windows: int64 [N, 4], where they lie, on the grid of the picture's planes.
        covered: bool [N], whether anything may be in front of each.
        covers: bool [N], whether each may be in front of anything.
    """

    masks: NDArray[np.int64]
    windows: NDArray[np.int64]
    covered: NDArray[np.bool_]
    covers: NDArray[np.bool_]


class Tint(Loops):
    """Blends colours into objects."""

    kinds: ClassVar[dict[str, Kind]] = {
        "tint": (
            (
                *(LENGTH, *(ADDRESS,) * 5, *PLANE, ADDRESS, NUMBER, ADDRESS),
                *(ADDRESS, NUMBER, NUMBER, ADDRESS),
            ),
            None,
        ),
    }

    _tint: Function

    def tint(
        self,
        objects: Objects,
        order: Sequence[int],
        ranks: NDArray[np.uint8],
        side: int,
        shares: NDArray[np.uint16],
        samples: Sequence[NDArray[np.uint8]],
        step: int,
        codes: NDArray[np.int32],
    ) -> None:
        """Blends colours into objects, by how much of a square around each pixel is the object's.

        Each is painted where nothing is in front of it.

        Args:
            objects: at most 255.
            order: their places, what is farthest behind first.
            ranks: uint8 of the picture's size, all 0.
            side: of the square around each pixel over which a mask is counted; odd, 3 to 15.
            shares: uint16 [256], how much of a pixel stays, of 256, by what was counted; 256 for 0.
            samples: uint8, the picture's planes: one, or three; at most `WIDEST` columns.
            step: rows and columns of the first plane for each sample of the others, 1 or 2.
            codes: int32 [N, 3], the colours' values in each plane.
        """
        windows = objects.windows
        sizes = windows[:, 1::2] - windows[:, ::2] + 2 * (side // 2)
        scratch = np.empty(int(sizes.prod(axis=1).max(initial=0)), np.uint8)
        places = np.array(order, np.int64)
        planes = np.array([plane_of(one) for one in samples], np.int64)
        self._tint(
            len(places),
            address_of(places),
            address_of(objects.masks),
            address_of(windows),
            address_of(objects.covered),
            address_of(objects.covers),
            *plane_of(ranks),
            address_of(scratch),
            side,
            address_of(shares),
            address_of(planes),
            len(planes),
            step,
            address_of(codes),
        )
