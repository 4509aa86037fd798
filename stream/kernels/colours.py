"""What `colours.c` does: counting the colours of objects."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.kernels.memory import (
    ADDRESS,
    COUNT,
    FRACTION,
    LENGTH,
    Function,
    Kind,
    Loops,
    address_of,
    scratch_of,
)


class Colours(Loops):
    """Tells objects by their colours."""

    kinds: ClassVar[dict[str, Kind]] = {
        "colours": (
            (
                *(ADDRESS, ADDRESS, COUNT, COUNT, COUNT, FRACTION, ADDRESS),
                *(ADDRESS, LENGTH, ADDRESS, ADDRESS, ADDRESS, ADDRESS),
            ),
            None,
        ),
    }

    _colours: Function

    def colours(
        self,
        masks: NDArray[np.float32],
        boxes: NDArray[np.float32],
        threshold: float,
        picture_size: tuple[int, int],
        rgb: NDArray[np.uint8],
        scale: tuple[float, float],
        offset: tuple[float, float],
        steps: tuple[int, int],
    ) -> NDArray[np.int32]:
        """How often objects have each colour, by one pixel for each cell of a mask.

        Args:
            masks: float32 [N, R, C], contiguous.
            boxes: float32 [N, 4] of the masks, contiguous; x1, y1, x2, y2 in the picture's pixels.
            threshold: above which a cell is the object's.
            picture_size: rows and columns.
            rgb: uint8 [H, W, 3], the picture or a smaller one of it; rows without gaps.
            scale: pixels of the picture per pixel of `rgb`, x and y.
            offset: where the picture begins in `rgb`, x and y.
            steps: of brightness, and of each colour difference.

        Returns:
            int32 [N, steps of brightness * steps of colour difference ** 2].
        """
        count, rows, columns = masks.shape
        levels, hues = steps
        counts = np.zeros((count, levels * hues**2), np.int32)
        sides = np.array([*picture_size, *rgb.shape[:2]], np.int64)
        placed = np.array([*scale, *offset], np.float64)
        told = np.array(steps, np.int64)
        self._colours(
            *(address_of(masks), address_of(boxes), count, rows, columns, threshold),
            *(address_of(sides), address_of(rgb), rgb.strides[0], address_of(placed)),
            *(address_of(told), address_of(counts), scratch_of(4 * columns)),
        )
        return counts
