"""The timing panel, in a corner of the picture."""

from __future__ import annotations

from typing import ClassVar

from stream.compositing.canvas import Canvas
from stream.compositing.corner import Corner
from stream.compositing.layer import Layer
from stream.compositing.panel import TimingPanel
from stream.compositing.sprites import Sprite, put_all
from stream.compositing.style import Style
from stream.roi import Window
from stream.types import JSON


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
        self._corner = Corner()
        self.writes = self.settles = figures

    def state(self) -> JSON:
        """Where the panel lies."""
        return self._corner.state()

    def go_on(self, state: JSON) -> None:
        """Lets the panel lie where it lay."""
        self._corner.go_on(state)

    def plan(self, canvas: Canvas) -> None:
        """Finds a corner where nobody is, and keeps labels clear of the panel."""
        if not self._figures and not canvas.notes:
            return
        placed = self._placed(canvas)
        if self._figures or placed is not None:
            self._corner.look(canvas.instances.boxes, canvas.size, canvas.seconds)
        if placed is not None:
            canvas.occupied.append(placed[1][self._corner.place])

    def paint(self, canvas: Canvas) -> None:
        """Paints the panel, over at most a twelfth of the picture."""
        if not self._figures and not canvas.notes:
            return
        placed = self._placed(canvas)
        if placed is not None:
            sprite, windows = placed
            top, _, left, _ = windows[self._corner.place]
            put_all(canvas.planes, [(sprite, top, left)])

    def _placed(self, canvas: Canvas) -> tuple[Sprite, tuple[Window, ...]] | None:
        figures = canvas.figures if self._figures else ()
        return self._panel.place(figures, canvas.notes, canvas.size, canvas.encoding, canvas.steps)
