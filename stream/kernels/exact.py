"""What `exact.c` does: colours as luma and chroma that give every one of them back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.kernels.memory import (
    ADDRESS,
    AREA,
    PLANE,
    Function,
    Kind,
    Loops,
    address_of,
    plane_of,
)

SHARE = 1 << 20
"""What weights are counted in."""

_TAKES: Kind = ((*PLANE, *AREA, ADDRESS, ADDRESS, ADDRESS), None)


class Exact(Loops):
    """Makes 10 bits of 8 and of 10 bits 8, with one mixture of three samples for each."""

    kinds: ClassVar[dict[str, Kind]] = {"deepened": _TAKES, "flattened": _TAKES}

    _deepened: Function
    _flattened: Function

    def deepened(
        self,
        pixels: NDArray[np.uint8],
        weights: NDArray[np.int32],
        planes: Sequence[NDArray[np.uint16]],
    ) -> None:
        """Fills three planes; what is below 0 or above 1023 becomes that.

        Args:
            pixels: uint8 [H, W, 3], whose pixels lie side by side.
            weights: int32 [3, 4], contiguous: for each plane of a pixel's samples, and what is
                added, in `SHARE`ths.
            planes: uint16 [H, W], whose samples lie side by side.
        """
        self._call(self._deepened, pixels, weights, planes)

    def flattened(
        self,
        planes: Sequence[NDArray[np.uint16]],
        weights: NDArray[np.int32],
        pixels: NDArray[np.uint8],
    ) -> None:
        """Fills pixels; what is below 0 or above 255 becomes that.

        Args:
            planes: three, uint16 [H, W], whose samples lie side by side.
            weights: int32 [3, 4], contiguous: for each of a pixel's samples of the planes', and
                what is added, in `SHARE`ths.
            pixels: uint8 [H, W, 3], whose pixels lie side by side.
        """
        self._call(self._flattened, pixels, weights, planes)

    def _call(
        self,
        function: Function,
        pixels: NDArray[np.uint8],
        weights: NDArray[np.int32],
        planes: Sequence[NDArray[np.uint16]],
    ) -> None:
        where = [plane_of(plane) for plane in planes]
        addresses, strides = (np.array(told, np.intp) for told in zip(*where, strict=True))
        told = (address_of(weights), address_of(addresses), address_of(strides))
        function(*plane_of(pixels), *pixels.shape[:2], *told)
