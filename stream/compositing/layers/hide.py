"""Objects covered."""

from __future__ import annotations

from stream.compositing.canvas import Canvas
from stream.compositing.cover import Cover, block_size, coarse
from stream.compositing.palette import Colour
from stream.compositing.planes import Samples
from stream.roi import Window

_PLAIN: Colour = (72, 76, 82)


class Hide(Cover):
    """Fills each object with one plain colour, or blurs it beyond recognition."""

    def covered(
        self,
        canvas: Canvas,
        samples: Samples,
        step: tuple[int, int],
        plane: int,
        window: Window,
        longest: float,
    ) -> Samples | int:
        """The plain colour's code, or the plane without detail."""
        if self.style.cover == "fill":
            return canvas.encoding.codes(_PLAIN)[plane]
        block = block_size(canvas.size[0] / 40, longest, canvas.grid)
        return coarse(samples, step, window, block, smooth=True)
