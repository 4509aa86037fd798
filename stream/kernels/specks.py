"""What `specks.c` does: finding small pieces and holes of masks."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.kernels.memory import (
    ADDRESS,
    COUNT,
    FRACTION,
    REAL,
    Function,
    Kind,
    Loops,
    address_of,
    scratch_of,
)

_RUN = 36
"""Bytes that the loops take for each cell."""


class Specks(Loops):
    """Finds what lies apart from objects, and their holes."""

    kinds: ClassVar[dict[str, Kind]] = {
        "pieces": (
            (
                *(COUNT, ADDRESS, COUNT, COUNT, FRACTION),
                *(REAL, ADDRESS, COUNT, ADDRESS),
            ),
            COUNT,
        ),
    }

    _pieces: Function

    def pieces(
        self, masks: NDArray[np.float32], threshold: float, part: float
    ) -> NDArray[np.int32]:
        """Small pieces and holes of masks that are in several pieces, or have holes.

        Cells hang together with those above, below and beside them.

        Args:
            masks: float32 [N, R, C].
            threshold: a cell above this is the object's.
            part: four times this share of an object's cells, and four more, are small.

        Returns:
            int32 [P, 6]: which mask, 1 for a piece and 0 for a hole, and its row, column, height
            and width in cells; what is around a mask begins in row and column -1.
        """
        masks = np.ascontiguousarray(masks, np.float32)
        count, rows, columns = masks.shape
        scratch = scratch_of(runs_in(rows, columns))
        most = 64
        while True:
            found = np.empty((most, 6), np.int32)
            many: int = self._pieces(
                *(count, address_of(masks), rows, columns, threshold),
                *(part, scratch, most, address_of(found)),
            )
            if many <= most:
                return found[:many]
            most = many


def runs_in(rows: int, columns: int) -> int:
    """Bytes for what is made of a mask of so many cells on the way."""
    return columns + 2 + -(columns + 2) % 8 + _RUN * (rows + 2) * (columns + 2)
