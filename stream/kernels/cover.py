"""What `cover.c` does: covering what a plane of cells says, with a colour or in squares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.kernels.memory import (
    ADDRESS,
    AREA,
    FRACTION,
    LENGTH,
    NUMBER,
    Function,
    Kind,
    Loops,
    address_of,
    plane_of,
)

_WIDER = 144
"""By so many samples, or fewer, rows are longer than the picture's while they are made."""


class Cover(Loops):
    """Covers parts of pictures."""

    kinds: ClassVar[dict[str, Kind]] = {
        "cover": ((ADDRESS, NUMBER, *AREA, NUMBER, ADDRESS, LENGTH, ADDRESS), None),
        "spread": (
            (LENGTH, ADDRESS, ADDRESS, FRACTION, NUMBER, ADDRESS, ADDRESS, LENGTH, LENGTH),
            None,
        ),
        "join": ((ADDRESS, *AREA, LENGTH, ADDRESS, ADDRESS), None),
    }

    _cover: Function
    _spread: Function
    _join: Function

    def cover(
        self,
        bare: NDArray[np.uint8],
        side: int,
        samples: Sequence[NDArray[np.uint8]],
        steps: Sequence[int],
        values: Sequence[int],
        block: int,
    ) -> None:
        """Covers a picture as cells say, in place.

        Args:
            bare: uint8 of cells that hold the picture, contiguous: 0 where nothing of it stays to
                255 where all does. Pixels are interpolated between the cells' middles.
            side: of a cell in pixels; even where a step is 2.
            samples: uint8 of each plane, at most three; the first as large as the picture.
            steps: pixels that a sample of each stands for each way: 1 or 2.
            values: what covers each plane, where `block` is 0.
            block: else the side of squares in pixels, a multiple of the steps. They have the mean
                of what they hold and end without a transition, where less than half stays.
        """
        height, width = samples[0].shape
        rows, wide = bare.shape[0], (bare.shape[1] + 1) * side + _WIDER
        halved = (min(block, height) // 2 + 1) * wide
        scratch = np.empty(4 * side + 64 + 8 * rows + 18 * wide + halved, np.uint8)
        places = np.array(
            [
                (*plane_of(plane), step, value)
                for plane, step, value in zip(samples, steps, values, strict=True)
            ],
            np.int64,
        )
        self._cover(
            address_of(bare),
            side,
            height,
            width,
            len(places),
            address_of(places),
            block,
            address_of(scratch),
        )

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
