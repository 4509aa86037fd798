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
    scratch_of,
)

_WIDER = 144
"""By so many samples, or fewer, rows are longer than the picture's while they are made."""


def places_of(
    samples: Sequence[NDArray[np.uint8]], steps: Sequence[int], values: Sequence[int]
) -> ctypes.Array[ctypes.c_int64]:
    """Planes as `cover` takes them; for as long as somebody holds them."""
    numbers: list[int] = []
    for plane, step, value in zip(samples, steps, values, strict=True):
        numbers += (address_of(plane), plane.strides[0], step, value)
    return (COUNT * len(numbers))(*numbers)


def room_to_cover(height: int, columns: int, side: int, block: int) -> int:
    """So many bytes `cover` takes for a picture of so many rows, and columns of cells."""
    wide = (columns + 1) * side + _WIDER
    halved = (min(block, height) // 2 + 1) * wide
    return 132 * side + 256 + 16 * wide + halved


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
        scratch = scratch_of(room_to_cover(height, bare.shape[1], side, block))
        places = places_of(samples, steps, values)
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
