"""Objects covered."""

from __future__ import annotations

from stream.compositing.canvas import Canvas
from stream.compositing.cover import Cover
from stream.compositing.mosaic import block_size, coarse
from stream.compositing.palette import Colour
from stream.compositing.planes import Samples
from stream.roi import Window

_PLAIN: Colour = (72, 76, 82)


class Hide(Cover):
    """Fills each object with one plain colour, or blurs it beyond recognition."""

    def block(self, canvas: Canvas, longest: float) -> int:
        """None for the plain colour, else at least a fortieth of the picture's height."""
        if self.style.cover == "fill":
            return 0
        return block_size(canvas.size[0] / 40, longest, canvas.grid)

    def covered(
        self,
        canvas: Canvas,
        samples: Samples,
        step: tuple[int, int],
        plane: int,
        window: Window,
        block: int,
    ) -> Samples | int:
        """The plain colour's code, or the plane without detail."""
        if self.style.cover == "fill":
            return canvas.encoding.codes(_PLAIN)[plane]
        return coarse(samples, step, window, block, smooth=True)
