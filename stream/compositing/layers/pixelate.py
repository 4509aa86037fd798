"""Objects in large squares."""

from __future__ import annotations

from typing import ClassVar

from stream.compositing.canvas import Canvas
from stream.compositing.cover import Cover
from stream.compositing.mosaic import block_size, coarse
from stream.compositing.planes import Samples
from stream.roi import Window


class Pixelate(Cover):
    """Shows each object in squares too large to recognise anybody."""

    hard: ClassVar[bool] = True

    def block(self, canvas: Canvas, longest: float) -> int:
        """The side of the squares."""
        return block_size(self.style.pixel_size / 100 * canvas.size[0], longest, canvas.grid)

    def covered(
        self,
        canvas: Canvas,
        samples: Samples,
        step: tuple[int, int],
        plane: int,
        window: Window,
        block: int,
    ) -> Samples | int:
        """The plane in squares."""
        return coarse(samples, step, window, block, smooth=False)
