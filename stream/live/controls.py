"""What can be changed while a live run goes on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stream.compositing import Painter, Style

if TYPE_CHECKING:
    from stream.inference.segmenter import Segmenter

_STEP = 0.05
_LOOKS = ("overlay", "binary")


@dataclass(slots=True)
class Controls:
    """How the picture is painted; changed by keys, read by the thread that paints.

    Attributes:
        segmenter: whose threshold is changed.
        look: names of layers joined with +.
        style: how they paint.
        timing: whether the timing panel is painted; None is as suits the look.
    """

    segmenter: Segmenter
    look: str = "overlay"
    style: Style = Style()
    timing: bool | None = None
    _painter: Painter | None = field(default=None, init=False)
    _chosen: tuple[str, Style, bool | None] | None = field(default=None, init=False)
    _hidden: str | None = field(default=None, init=False)

    def painter(self) -> Painter:
        """The painter for what is now chosen; for the thread that paints."""
        chosen = (self.look, self.style, self.timing)
        if self._painter is None or self._chosen != chosen:
            self._painter, self._chosen = Painter(*chosen), chosen
        return self._painter

    def next_look(self) -> str:
        """Goes on to the next look; returns a line for the user."""
        place = _LOOKS.index(self.look) if self.look in _LOOKS else -1
        self.look = _LOOKS[(place + 1) % len(_LOOKS)]
        return f"look: {self.look}"

    def toggle_labels(self) -> str:
        """Shows or hides labels; returns a line for the user."""
        if self._hidden is None:
            self._hidden = self.style.label
            self.style = replace(self.style, label="none")
            return "labels off"
        self.style, self._hidden = replace(self.style, label=self._hidden), None
        return "labels on"

    def toggle_timing(self) -> str:
        """Shows or hides the timing panel; returns a line for the user."""
        self.timing = not Painter(self.look, self.style, self.timing).timing
        return f"timing panel {'on' if self.timing else 'off'}"

    def move_threshold(self, steps: int) -> str:
        """Raises or lowers the lowest score by steps of 0.05; returns a line for the user."""
        wanted = round(self.segmenter.threshold / _STEP + steps) * _STEP
        self.segmenter.threshold = min(0.95, max(0.05, wanted))
        return f"threshold {self.segmenter.threshold:.2f}"
