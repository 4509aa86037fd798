"""What `cells.c` does: which cells of a grid objects and what is around them lie in."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.kernels.memory import (
    ADDRESS,
    AREA,
    COUNT,
    FRACTION,
    LENGTH,
    NUMBER,
    REAL,
    Function,
    Kind,
    Loops,
    address_of,
    scratch_of,
)


def room_to_join(rows: int, columns: int) -> int:
    """So many bytes `join` takes for so many cells."""
    return 68 * rows + rows * columns + columns + 2 + 8 * rows * -(-columns // 64)


class Cells(Loops):
    """Finds the cells of a grid that are covered."""

    kinds: ClassVar[dict[str, Kind]] = {
        "place": (
            (
                *(LENGTH, *(ADDRESS,) * 3, LENGTH, *AREA, ADDRESS),
                *(NUMBER, *AREA, REAL, *(ADDRESS,) * 4),
            ),
            LENGTH,
        ),
        "spread": (
            (
                *(LENGTH, LENGTH, *(ADDRESS,) * 3, FRACTION, COUNT),
                *(*(ADDRESS,) * 4, LENGTH, LENGTH),
            ),
            LENGTH,
        ),
        "join": ((ADDRESS, *AREA, LENGTH, ADDRESS, ADDRESS), None),
        "raise": ((LENGTH, ADDRESS, ADDRESS), None),
    }

    _place: Function
    _spread: Function
    _join: Function
    _raise: Function

    def raised(self, masks: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Masks of 0..1 in whole numbers of 0..255, rounded upwards; of any shape."""
        codes = np.empty(masks.shape, np.uint8)
        masks = np.ascontiguousarray(masks, np.float32)
        self._raise(masks.size, address_of(masks), address_of(codes))
        return codes

    def patches(
        self,
        boxes: NDArray[np.float32],
        reaches: NDArray[np.float64],
        soft: NDArray[np.float32],
        masks: Sequence[int],
        side: int,
        cells: tuple[int, int],
        halves: Callable[[int], tuple[int, NDArray[np.int64]]],
        *,
        onward: float,
        least: float,
    ) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64], list[NDArray[np.int64]]]:
        """Which cells of a grid objects lie in, by their masks.

        Args:
            boxes: float32 [N, 4], x1, y1, x2, y2 in pixels; finite.
            reaches: float64 [N], how far around each is covered, in pixels.
            soft: float32 [K, M, M], 0..1, masks of the first K.
            masks: 3 numbers of each of the others: where it lies in memory, in whole numbers of
                0..255, uint8 and contiguous, its rows and its columns.
            side: of a cell in pixels.
            cells: rows and columns of them.
            halves: gives of a radius the numbers that `join` takes for it, and where they lie.
            onward: how far masks go on beyond their edges, of their longer side.
            least: where a mask, interpolated, is above this, the object is.

        Returns:
            Cells of one after the other as bits, uint64, in whole words: a row of the grid begins
            with the lowest bit of one, and a row of cells with the word of its first; int64 [M, 8]
            of each that has some, as `join` takes them; int64 [M], which of the N it is; and
            numbers for radii, to be held.
        """
        count, soft_count = len(boxes), len(soft)
        soft = np.ascontiguousarray(soft, np.float32)
        others = (COUNT * len(masks))(*masks)
        boxes = np.ascontiguousarray(boxes, np.float32)
        reaches = np.ascontiguousarray(reaches, np.float64)
        # Numbers that the two loops hand over, of each and of all together, and what they find.
        made = np.empty(27 * count + 6, np.int64)
        objects = address_of(made)
        places, windows, items = objects + 64 * count, objects + 96 * count, objects + 144 * count
        which, sizes = objects + 208 * count, objects + 216 * count
        some: int = self._place(
            *(count, address_of(boxes), address_of(reaches), address_of(soft), *soft.shape),
            *(ctypes.addressof(others), side, *cells),
            *(onward, objects, places, windows, sizes),
        )
        total, size, wider, columns, least_radius, radius = made[27 * count :].tolist()
        alike = [halves(radius)] if least_radius == radius else []  # as mostly
        out = np.empty(total, np.uint64)
        scratch = scratch_of(12 * size + 4 * wider + 9 * columns + 128)
        found: int = self._spread(
            *(some, soft_count, objects, places, windows, least),
            *(alike[0][0] if alike else 0, address_of(out), items, which, scratch, size, wider),
        )
        own = made[18 * count : 18 * count + 8 * found].reshape(found, 8)
        if not alike:
            alike = [halves(one) for one in own[:, 6].tolist()]
            own[:, 7] = [address for address, _ in alike]
        return out, own, made[26 * count : 26 * count + found], [one for _, one in alike]

    def join(self, cells: tuple[int, int], items: NDArray[np.int64]) -> NDArray[np.uint8]:
        """How far cells are bare where objects are covered, and what is around each.

        Args:
            cells: rows and columns of them.
            items: int64 [N, 8] of each: rows y1 to y2 and columns x1 to x2 of cells; where the word
                with its first lies in memory, in bits, and how many bytes one row of words lies
                after the other; a radius R; and where int64 [2 R + 1] lie, how many cells before
                and after one are covered in each of so many rows around it.

        Returns:
            uint8 of the cells: 255, less by 85 for each that is covered of it and the eight around.
        """
        bare = np.empty(cells, np.uint8)
        scratch = scratch_of(room_to_join(*cells))
        self._join(address_of(bare), *cells, len(items), address_of(items), scratch)
        return bare
