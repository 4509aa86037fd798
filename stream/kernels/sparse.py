"""What `sparse.c` does: every so many samples of a plane."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.kernels.memory import (
    ADDRESS,
    AREA,
    LENGTH,
    PLANE,
    Function,
    Kind,
    Loops,
    address_of,
    plane_of,
)


class Sparse(Loops):
    """Looks at some of a picture."""

    kinds: ClassVar[dict[str, Kind]] = {"sparse": ((*PLANE, LENGTH, *AREA, ADDRESS), None)}

    _sparse: Function

    def sparse(self, samples: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
        """A copy of every so many samples of every so many rows, from the first on.

        Args:
            samples: uint8 [H, W], whose rows are contiguous.
            step: how many, at least 1.
        """
        height, width = samples.shape
        out = np.empty((-(-height // step), -(-width // step)), np.uint8)
        self._sparse(*plane_of(samples), step, *out.shape, address_of(out))
        return out
