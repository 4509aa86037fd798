"""The timing panel, top left in the picture."""

from __future__ import annotations

from typing import ClassVar

from stream.compositing.canvas import Canvas
from stream.compositing.layer import Layer
from stream.compositing.panel import TimingPanel
from stream.compositing.sprites import Sprite
from stream.compositing.style import Style
from stream.roi import Window


class Timing(Layer):
    """Where each millisecond of a frame went, and what its source wants shown.

    Args:
        style: of the picture; the panel has its own.
        figures: whether figures are shown; without, notes alone are.
    """

    stands_before: ClassVar[bool] = True
    pastes: ClassVar[int] = 0

    def __init__(self, style: Style, figures: bool = True) -> None:
        super().__init__(style)
        self._figures = figures
        self._panel = TimingPanel()

    def plan(self, canvas: Canvas) -> None:
        """Keeps labels clear of the panel."""
        placed = self._placed(canvas)
        if placed is not None:
            canvas.occupied.append(placed[1])

    def paint(self, canvas: Canvas) -> None:
        """Paints the panel, over at most a twelfth of the picture."""
        placed = self._placed(canvas)
        if placed is not None:
            sprite, (top, _, left, _) = placed
            sprite.put(canvas.planes, top, left)

    def _placed(self, canvas: Canvas) -> tuple[Sprite, Window] | None:
        figures = canvas.figures if self._figures else ()
        return self._panel.place(figures, canvas.notes, canvas.size, canvas.encoding, canvas.steps)
