"""A colour for each object, half-transparent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.compositing.tint import Tint


class Fill(Tint):
    """Colours the inside of each object, softly at its edge."""

    def cover(self, distance: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
        """Rises over the pixel in which the edge is."""
        return np.asarray(np.clip(distance + 0.5, 0, 1) * self.style.opacity, np.float64)
