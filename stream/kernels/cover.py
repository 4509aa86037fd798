"""What `cover.c` does: covering what a plane of cells says, with a colour or in squares."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.kernels.memory import (
    ADDRESS,
    AREA,
    COUNT,
    LENGTH,
    NUMBER,
    Function,
    Kind,
    Loops,
    address_of,
    plane_of,
    scratch_of,
)

_WIDER = 144
"""By so many samples, or fewer, rows are longer than the picture's while they are made."""


class Cover(Loops):
    """Covers parts of pictures."""

    kinds: ClassVar[dict[str, Kind]] = {
        "cover": ((ADDRESS, NUMBER, *AREA, NUMBER, ADDRESS, LENGTH, ADDRESS), None),
    }

    _cover: Function

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
        wide = (bare.shape[1] + 1) * side + _WIDER
        halved = (min(block, height) // 2 + 1) * wide
        scratch = scratch_of(132 * side + 256 + 16 * wide + halved)
        places = (COUNT * (4 * len(samples)))(
            *(
                number
                for plane, step, value in zip(samples, steps, values, strict=True)
                for number in (*plane_of(plane), step, value)
            )
        )
        self._cover(
            address_of(bare),
            side,
            height,
            width,
            len(samples),
            ctypes.addressof(places),
            block,
            scratch,
        )
