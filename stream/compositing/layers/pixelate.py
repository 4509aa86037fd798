"""Objects in large squares."""

from __future__ import annotations

from typing import ClassVar

from stream.compositing.canvas import Canvas
from stream.compositing.cover import Cover
from stream.compositing.mosaic import block_size


class Pixelate(Cover):
    """Shows each object in squares too large to recognise anybody."""

    hard: ClassVar[bool] = True

    def block(self, canvas: Canvas, longest: float) -> int:
        """The side of the squares."""
        return block_size(self.style.pixel_size / 100 * canvas.size[0], longest, canvas.grid)

    def plain(self, canvas: Canvas) -> None:
        """None: squares of what is there."""
