"""What `blur.c` does: planes made small, without what objects have of them."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.kernels.memory import (
    ADDRESS,
    AREA,
    BLOCK,
    NUMBER,
    PLANE,
    Function,
    Kind,
    Loops,
    address_of,
    plane_of,
)

MOST_HALVINGS = 8
"""How often a plane is made half as large at once, at most."""


class Blur(Loops):
    """Makes planes small."""

    kinds: ClassVar[dict[str, Kind]] = {
        "clear": ((*PLANE, *AREA, ADDRESS), None),
        "cut": ((*PLANE, NUMBER, ADDRESS, *AREA, NUMBER, ADDRESS, ADDRESS), None),
    }

    _clear: Function
    _cut: Function

    def clear(self, alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """How far each two rows and columns are behind all objects.

        Args:
            alpha: uint8 [H, W], how far pixels are an object's, their columns one after the other
                in memory; H and W even.

        Returns:
            uint8 [H / 2, W / 2], 255 where they are wholly, 0 where they hardly are.
        """
        out = np.empty((alpha.shape[0] // 2, alpha.shape[1] // 2), np.uint8)
        self._clear(*plane_of(alpha), *out.shape, address_of(out))
        return out

    def cut(
        self,
        samples: NDArray[np.uint8],
        clear: NDArray[np.uint8],
        halvings: int,
        *,
        alone: bool = True,
    ) -> NDArray[np.uint8]:
        """A plane, as small as is asked for by halving, without what is not clear.

        Args:
            samples: uint8, of the size of `clear` or of twice that; their columns one after the
                other in memory.
            clear: uint8 [H, W], contiguous, 255 where all of a sample counts to 0 where nothing.
            halvings: how often `clear`'s size is halved, at most `MOST_HALVINGS`; H and W are
                multiples of 2 to that power.
            alone: whether what is not clear is left out; else the plane is only made small.

        Returns:
            uint8 of the small size.
        """
        rows, columns = clear.shape
        out = np.empty((rows >> halvings, columns >> halvings), np.uint8)
        scratch = np.empty(4 * columns + 2 * BLOCK, np.uint8)
        self._cut(
            *(
                *plane_of(samples),
                samples.shape != clear.shape,
                address_of(clear) if alone else None,
            ),
            *(rows, columns, halvings, address_of(out), address_of(scratch)),
        )
        return out
