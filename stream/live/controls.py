"""What can be changed while a live run goes on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stream.compositing.compositor import Compositor
from stream.compositing.looks import LOOKS, Options

if TYPE_CHECKING:
    from stream.inference.segmenter import Segmenter

_STEP = 0.05


@dataclass(slots=True)
class Controls:
    """How the picture is painted; changed by keys, read by the thread that paints.

    Attributes:
        segmenter: whose threshold is changed.
        look: a name in `LOOKS`.
        options: how the look is painted.
        timing: whether the timing panel is painted.
    """

    segmenter: Segmenter
    look: str = "overlay"
    options: Options = field(default_factory=Options)
    timing: bool = True

    def compositor(self) -> Compositor:
        """A compositor for the look as it is now chosen."""
        return Compositor(self.look, self.options)

    def next_look(self) -> str:
        """Goes on to the next look; returns a line for the user."""
        names = list(LOOKS)
        self.look = names[(names.index(self.look) + 1) % len(names)]
        return f"look: {self.look}"

    def toggle_labels(self) -> str:
        """Shows or hides labels; returns a line for the user."""
        shown = not self.options.show_labels
        self.options = replace(self.options, show_labels=shown)
        return f"labels {'on' if shown else 'off'}"

    def toggle_timing(self) -> str:
        """Shows or hides the timing panel; returns a line for the user."""
        self.timing = not self.timing
        return f"timing panel {'on' if self.timing else 'off'}"

    def move_threshold(self, steps: int) -> str:
        """Raises or lowers the lowest score by steps of 0.05; returns a line for the user."""
        wanted = round(self.segmenter.threshold / _STEP + steps) * _STEP
        self.segmenter.threshold = min(0.95, max(0.05, wanted))
        return f"threshold {self.segmenter.threshold:.2f}"
