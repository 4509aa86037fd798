"""A flat colour for each object on black."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from stream.compositing.canvas import Canvas
from stream.compositing.layer import Layer
from stream.compositing.palette import BLACK
from stream.compositing.planes import blend, part, reduce_to


class Instances(Layer):
    """Each object in its own colour on black, with hard edges, the best score on top."""

    exact: ClassVar[bool] = True

    def paint(self, canvas: Canvas) -> None:
        """Replaces every sample of the picture."""
        planes = canvas.planes
        for samples, code in zip(planes.samples, planes.encoding.codes(BLACK), strict=False):
            samples.fill(code)
        for index in reversed(range(len(canvas.instances))):
            found = canvas.pasted(index)
            if found is None:
                continue
            window, inside = found
            codes = planes.encoding.codes(canvas.colour(index))
            alpha = np.asarray(inside * np.uint8(255), np.uint8)
            for samples, step, code in zip(planes.samples, planes.steps, codes, strict=False):
                blend(part(samples, step, window), reduce_to(alpha, step), code)
