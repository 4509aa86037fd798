"""Objects in large squares."""

from __future__ import annotations

from stream.compositing.canvas import Canvas
from stream.compositing.cover import Cover, block_size, coarse
from stream.compositing.planes import Samples
from stream.roi import Window


class Pixelate(Cover):
    """Shows each object in squares too large to recognise anybody."""

    def covered(
        self,
        canvas: Canvas,
        samples: Samples,
        step: tuple[int, int],
        plane: int,
        window: Window,
        longest: float,
    ) -> Samples | int:
        """The plane in squares."""
        least = self.style.pixel_size / 100 * canvas.size[0]
        block = block_size(least, longest, canvas.grid)
        return coarse(samples, step, window, block, smooth=False)
