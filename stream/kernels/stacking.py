"""What `stacking.c` does: which objects lie before larger ones."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.kernels.memory import (
    ADDRESS,
    COUNT,
    FRACTION,
    Function,
    Kind,
    Loops,
    address_of,
    scratch_of,
)


class Stacking(Loops):
    """Tells which of a picture's objects are in front."""

    kinds: ClassVar[dict[str, Kind]] = {
        "before": (
            (COUNT, ADDRESS, COUNT, COUNT, ADDRESS, FRACTION, *(ADDRESS,) * 5),
            None,
        ),
    }

    _before: Function

    def before(
        self,
        masks: NDArray[np.float32],
        boxes: NDArray[np.float64],
        threshold: float,
        limits: NDArray[np.float64],
    ) -> NDArray[np.uint8]:
        """Which objects meet, and which of them lie before others.

        Args:
            masks: float32 [N, R, C].
            boxes: float64 [N, 4], x1, y1, x2, y2 in pixels; finite.
            threshold: a cell above this is the object's.
            limits: float64 [4], as `stream.compositing.stacking` has them.

        Returns:
            uint8 [N, N]: 1 where the boxes share an area, 3 where the first lies before the second,
            else 0.
        """
        masks = np.ascontiguousarray(masks, np.float32)
        boxes = np.ascontiguousarray(boxes, np.float64)
        count, rows, columns = masks.shape
        found = np.empty((count, count), np.uint8)
        areas = scratch_of(16 * count + 4 * (rows + columns) + masks.size)
        places = areas + 16 * count
        self._before(
            *(count, address_of(masks), rows, columns, address_of(boxes), threshold),
            *(address_of(limits), places + 4 * (rows + columns), places, areas),
            address_of(found),
        )
        return found
