"""What is behind without colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from stream.compositing.behind import Background, Behind
from stream.compositing.canvas import Canvas
from stream.compositing.mattes import Matte


class Grey(Behind):
    """Takes the colour of what is behind; objects keep theirs, exactly."""

    thin: ClassVar[bool] = True

    def backgrounds(self, canvas: Canvas, matte: Matte) -> Sequence[Background | None]:
        """Neutral chroma; luma stays."""
        return [None] + [canvas.encoding.neutral] * (len(canvas.steps) - 1)
