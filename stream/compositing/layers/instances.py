"""A flat colour, or its number, for each object on black."""

from __future__ import annotations

from typing import ClassVar

import av
import numpy as np

from stream.compositing.canvas import Canvas
from stream.compositing.layer import Layer
from stream.compositing.palette import BLACK
from stream.compositing.planes import blend, part
from stream.compositing.style import Style
from stream.pictures.pixels import plane_view, reduce_to

_MOST = (1 << 16) - 1
_FULL_RANGE = 2


class Instances(Layer):
    """Each object in its own colour on black, with hard edges; see `stacked` for which is in front.

    With `style.identities`, a 16-bit grey picture in which a pixel's value is its object's number,
    0 where there is none.
    """

    fills: ClassVar[bool] = True
    exact: ClassVar[bool] = True
    alone: ClassVar[bool] = True

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self._too_high = 0
        self.coloured = not style.identities

    @property
    def pixel_format(self) -> str | None:
        """Grey of 16 bits for numbers."""
        return "gray16le" if self.style.identities else None

    @property
    def remarks(self) -> list[str]:
        """Whether there were more objects than numbers."""
        if not self._too_high:
            return []
        return [f"identities go up to {self._too_high}; those above {_MOST} are written as {_MOST}"]

    def paint(self, canvas: Canvas) -> None:
        """Replaces every sample of the picture, or the picture."""
        if self.style.identities:
            self._number(canvas)
            return
        planes = canvas.planes
        for samples, code in zip(planes.samples, planes.encoding.codes(BLACK), strict=False):
            samples.fill(code)
        for index in canvas.stack.order:
            found = canvas.pasted(index)
            if found is None:
                continue
            codes = planes.encoding.codes(canvas.colour(index))
            alpha = np.asarray(found.inside * np.uint8(255), np.uint8)
            for samples, step, code in zip(planes.samples, planes.steps, codes, strict=False):
                blend(part(samples, step, found.window), reduce_to(alpha, step), code)

    def _number(self, canvas: Canvas) -> None:
        before = canvas.picture
        picture = av.VideoFrame(before.width, before.height, "gray16le")
        picture.pts = before.pts
        if before.time_base is not None:
            picture.time_base = before.time_base
        picture.color_range = _FULL_RANGE
        values = plane_view(picture.planes[0], 16)
        values.fill(0)
        for index in canvas.stack.order:
            found = canvas.pasted(index)
            if found is None:
                continue
            number = canvas.identity(index)
            if number > _MOST:
                self._too_high = max(self._too_high, number)
            there = part(values, (1, 1), found.window)
            there[found.inside.view(np.bool_)] = min(number, _MOST)
        canvas.picture = picture
