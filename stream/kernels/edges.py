"""What `edges.c` does: edges drawn to the picture's own, and how they fall off."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.kernels.memory import (
    ADDRESS,
    AREA,
    BLOCK,
    LENGTH,
    NUMBER,
    PLANE,
    Function,
    Kind,
    Loops,
    address_of,
    plane_of,
)

WIDEST_SIDE = 15
"""Of a square whose sum two bytes hold."""


class Edges(Loops):
    """Draws edges of masks."""

    kinds: ClassVar[dict[str, Kind]] = {
        "bilateral": ((ADDRESS, *AREA, LENGTH, NUMBER, NUMBER, ADDRESS, ADDRESS, ADDRESS), None),
        "fall": (
            (*PLANE, *AREA, ADDRESS, NUMBER, NUMBER, *PLANE, *AREA, LENGTH, LENGTH, ADDRESS),
            NUMBER,
        ),
    }

    _bilateral: Function
    _fall: Function

    def bilateral(
        self,
        planes: NDArray[np.uint8],
        rim: int,
        own: int,
        places: NDArray[np.int32],
        tables: NDArray[np.uint8],
    ) -> NDArray[np.uint8]:
        """A mask averaged over what looks alike nearby.

        Args:
            planes: uint8 [4, H + 2 rim, W + 2 rim], Y, U, V and the mask; W at least `BLOCK`.
            rim: pixels on each side, at most 16.
            own: the weight of a pixel itself.
            places: int32 [N, 2], rows and columns to each neighbour, within the rim.
            tables: uint8 [N, 64], their weights by how much colours differ; 0 for 64 and more.

        Returns:
            uint8 [H, W].
        """
        out = np.empty((planes.shape[1] - 2 * rim, planes.shape[2] - 2 * rim), np.uint8)
        self._bilateral(
            address_of(planes),
            *out.shape,
            rim,
            own,
            len(places),
            address_of(places),
            address_of(tables),
            address_of(out),
        )
        return out

    def fall(
        self,
        values: NDArray[np.uint8],
        place: tuple[int, int],
        table: NDArray[np.uint8],
        side: int,
        plane: NDArray[np.uint8],
        *,
        held: bool,
    ) -> bool:
        """Raises a plane to what a table says of values, averaged over a square around each.

        Args:
            values: uint8 [h, w], their columns one after the other in memory.
            place: row and column of the plane at which they lie; elsewhere they are 0, and beyond
                the plane they are as on its edge.
            table: uint8 [256]; 0 of 0 and 255 of 255.
            side: of the square, odd, at most `WIDEST_SIDE`; 1 for no averaging.
            plane: uint8 [H, W], the same as `values`, which lie within it.
            held: whether it is raised to what the table says and to twice the square's mean; else
                to the mean.

        Returns:
            Whether there is anything but 0.
        """
        rows, columns = values.shape
        scratch = np.empty((columns + 4 * side + 2 * BLOCK) * (side + 2), np.uint8)
        return bool(
            self._fall(
                *(*plane_of(values), rows, columns, address_of(table), side, held),
                *(*plane_of(plane), *plane.shape, *place, address_of(scratch)),
            )
        )
