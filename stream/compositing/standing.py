"""What is painted over a picture of which parts are clear is seen there too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.compositing.planes import Planes


class Before:
    """A picture's samples as they were before text and lines were painted on them."""

    def __init__(self, planes: Planes) -> None:
        self._samples = [samples.copy() for samples in planes.samples]

    def shown(self, planes: Planes, alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """How opaque pixels are now: wholly where samples have changed.

        Args:
            planes: of the same picture, now.
            alpha: how opaque its pixels were, uint8 [H, W], which stays as it is.
        """
        height, width = alpha.shape
        shown = alpha.copy()
        for old, new, (rows, columns) in zip(
            self._samples, planes.samples, planes.steps, strict=True
        ):
            changed = old != new
            if rows > 1:
                changed = changed.repeat(rows, axis=0)
            if columns > 1:
                changed = changed.repeat(columns, axis=1)
            shown[changed[:height, :width]] = 255
        return shown
