"""Objects covered."""

from __future__ import annotations

from collections.abc import Sequence

from stream.compositing.canvas import Canvas
from stream.compositing.cover import Cover
from stream.compositing.mosaic import block_size
from stream.compositing.palette import Colour

_PLAIN: Colour = (72, 76, 82)


class Hide(Cover):
    """Fills each object with one plain colour, or blurs it beyond recognition."""

    def block(self, canvas: Canvas, longest: float) -> int:
        """None for the plain colour, else at least a fortieth of the picture's height."""
        if self.style.cover == "fill":
            return 0
        return block_size(canvas.size[0] / 40, longest, canvas.grid)

    def plain(self, canvas: Canvas) -> Sequence[int] | None:
        """The plain colour's codes."""
        return canvas.encoding.codes(_PLAIN) if self.style.cover == "fill" else None
