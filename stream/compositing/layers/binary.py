"""White objects on black."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from stream.compositing.canvas import Canvas
from stream.compositing.layer import Layer
from stream.compositing.masks import strips
from stream.compositing.planes import part
from stream.kernels import compiled
from stream.types import Array

_STRIP = 48 * 1024
"""Pixels that are painted at a time."""


class Binary(Layer):
    """White where any object is, black elsewhere, in the picture's own range; hard edges."""

    fills: ClassVar[bool] = True
    exact: ClassVar[bool] = True
    alone: ClassVar[bool] = True
    grey: ClassVar[bool] = True

    def paint(self, canvas: Canvas) -> None:
        """Replaces every sample of the picture."""
        planes = canvas.planes
        luma, *chroma = planes.samples
        luma.fill(planes.encoding.black)
        white, kernels = planes.encoding.white, compiled()
        for index in range(len(canvas.instances)):
            found = canvas.pasted(index)
            if found is None:
                continue
            there: Array = part(luma, (1, 1), found.window)
            if kernels is not None and planes.narrow:
                kernels.lay(there, found.inside, white)
                continue
            for start, stop in strips(there.shape, (1, 1), _STRIP):
                rows = there[start:stop]
                np.maximum(rows, found.inside[start:stop] * luma.dtype.type(white), out=rows)
        for samples in chroma:
            samples.fill(planes.encoding.neutral)
