"""What `cells.c` does: which cells of a grid objects and what is around them lie in."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.kernels.memory import (
    ADDRESS,
    AREA,
    FRACTION,
    LENGTH,
    NUMBER,
    REAL,
    Function,
    Kind,
    Loops,
    address_of,
)


class Cells(Loops):
    """Finds the cells of a grid that are covered."""

    kinds: ClassVar[dict[str, Kind]] = {
        "place": ((LENGTH, *(ADDRESS,) * 3, NUMBER, *AREA, REAL, *(ADDRESS,) * 3), LENGTH),
        "spread": (
            (LENGTH, ADDRESS, ADDRESS, FRACTION, NUMBER, ADDRESS, ADDRESS, LENGTH, LENGTH),
            None,
        ),
        "join": ((ADDRESS, *AREA, LENGTH, ADDRESS, ADDRESS), None),
    }

    _place: Function
    _spread: Function
    _join: Function

    def place(
        self,
        boxes: NDArray[np.float32],
        reaches: NDArray[np.float64],
        masks: NDArray[np.int64],
        side: int,
        cells: tuple[int, int],
        onward: float,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """Where in a grid objects may lie, and how their masks are brought there.

        Args:
            boxes: float32 [N, 4], x1, y1, x2, y2 in pixels; finite.
            reaches: float64 [N], how far around each is covered, in pixels.
            masks: int64 [N, 3] of each: where it lies in memory, its rows and its columns.
            side: of a cell in pixels.
            cells: rows and columns of them.
            onward: how far masks go on beyond their edges, of their longer side.

        Returns:
            For each of those that have cells: int64 [M, 8] and float64 [M, 4] for `spread`; and
            int64 [M, 6], rows y1 to y2 and columns x1 to x2 of cells, ends exclusive, its radius in
            cells, and which of the N it is.
        """
        count = len(masks)
        boxes = np.ascontiguousarray(boxes, np.float32)
        reaches = np.ascontiguousarray(reaches, np.float64)
        objects, windows = np.empty((count, 8), np.int64), np.empty((count, 6), np.int64)
        places = np.empty((count, 4))
        some: int = self._place(
            *(count, address_of(boxes), address_of(reaches), address_of(masks), side, *cells),
            *(onward, address_of(objects), address_of(places), address_of(windows)),
        )
        return objects[:some], places[:some], windows[:some]

    def spread(
        self,
        objects: NDArray[np.int64],
        places: NDArray[np.float64],
        least: float,
        value: int,
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Which cells of a grid objects lie in, by their masks.

        Args:
            objects: int64 [N, 8] of each: where its mask lies, uint8 and contiguous; rows and
                columns of it; how many of them it goes on beyond its edges; over how many rows and
                columns it is grown; and rows and columns of cells.
            places: float64 [N, 4] of each: columns and rows of the mask that a cell takes, and
                where among them the first cell's middle lies.
            least: where the mask, interpolated, is above this, the object is.
            value: what stands for that.

        Returns:
            The cells of one after the other, `value` or 0; and int64 [N, 4], the first row and
            column of each that has some, and rows and columns up to the last that has; 0 of them
            where none has.
        """
        cells = objects[:, 6:].prod(axis=1).sum()
        around = objects[:, 1:3] + 2 * objects[:, 3:4] + 4
        size, wider = int(around.prod(axis=1).max()), int((around[:, 0] * objects[:, 7]).max())
        size += -size % 4
        made = objects.copy()
        out = np.empty(int(cells), np.uint8)
        scratch = np.empty(3 * size + 4 * wider + 8 * int(objects[:, 7].max()), np.uint8)
        self._spread(
            len(made),
            address_of(made),
            address_of(places),
            least,
            value,
            address_of(out),
            address_of(scratch),
            size,
            wider,
        )
        return out, made[:, 4:]

    def join(self, cells: tuple[int, int], items: NDArray[np.int64]) -> NDArray[np.uint8]:
        """How far cells are bare where objects are covered, and what is around each.

        Args:
            cells: rows and columns of them.
            items: int64 [N, 8] of each: rows y1 to y2 and columns x1 to x2 of cells; where its own
                lie in memory, uint8, not 0 where it is, and how many bytes one row lies after the
                other; a radius R; and where int64 [2 R + 1] lie, how many cells before and after
                one are covered in each of so many rows around it.

        Returns:
            uint8 of the cells: 255, less by 85 for each that is covered of it and the eight around.
        """
        bare = np.empty(cells, np.uint8)
        scratch = np.empty(2 * bare.size + 2 * cells[1] + 2, np.uint8)
        self._join(address_of(bare), *cells, len(items), address_of(items), address_of(scratch))
        return bare
