"""Which corner of the picture the timing panel lies in: one where nobody is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.types import JSON

_PANEL = 0.37, 0.22
"""Height and width of a corner, of the picture's: about what the panel takes. What it takes differs
from frame to frame, and where it lies shall not."""

_CLEARLY = 0.1
"""Of the panel, by which another corner is emptier than the one it would lie in, where it is
first laid down."""

_BETTER = 0.12
"""The same, over some seconds, where it lies already."""

_SECONDS = 3.0
"""Time constant of how full each corner is."""

_STAYS = 15.0
"""Seconds for which the panel stays at least where it has gone: who reads it looks there."""


class Corner:
    """Chooses a corner when the first objects are seen, and keeps it as long as it is any good.

    Attributes:
        place: 0 top left, 1 top right, 2 bottom left, 3 bottom right.
    """

    def __init__(self) -> None:
        self.place = 0
        self._full: NDArray[np.float64] | None = None
        self._seconds = 0.0
        self._moved: float | None = None

    def look(self, boxes: NDArray[np.float32], size: tuple[int, int], seconds: float) -> None:
        """Looks at the next frame.

        Args:
            boxes: of its objects, float32 [N, 4]: x1, y1, x2, y2 in pixels.
            size: the picture's height and width in pixels.
            seconds: the frame's presentation time.
        """
        full = _covered(boxes, size)
        if self._full is None:
            if not len(boxes):
                return
            self._full = full
            self._choose(_CLEARLY)
        else:
            passed = min(max(0.0, seconds - self._seconds), 1.0)
            self._full += min(1.0, passed / _SECONDS) * (full - self._full)
            rests = self._moved is not None and 0 <= seconds - self._moved < _STAYS
            if not rests and self._choose(_BETTER):
                self._moved = seconds
        self._seconds = seconds

    def _choose(self, better: float) -> bool:
        """Goes to the emptiest corner where that is better by so much; whether it did."""
        assert self._full is not None
        best = int(self._full.argmin())
        if self._full[self.place] - self._full[best] < better:
            return False
        self.place = best
        return True

    def state(self) -> JSON:
        """All that is known, ready for JSON."""
        full: list[JSON] | None = None if self._full is None else [*self._full.tolist()]
        return {
            "place": self.place,
            "full": full,
            "seconds": self._seconds,
            "moved": self._moved,
        }

    def go_on(self, state: JSON) -> None:
        """Knows what another one knew.

        Args:
            state: of that one.
        """
        known: Any = state
        self.place, self._seconds, self._moved = known["place"], known["seconds"], known["moved"]
        self._full = None if known["full"] is None else np.array(known["full"], np.float64)


def _covered(boxes: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float64]:
    """Which share of each corner boxes cover, those that overlap counted twice; 1 at most."""
    height, width = size
    tall, wide = _PANEL[0] * height, _PANEL[1] * width
    places = [(top, left) for top in (0.0, height - tall) for left in (0.0, width - wide)]
    corners = np.array([(left, top, left + wide, top + tall) for top, left in places])
    low = np.maximum(boxes[:, None, :2], corners[:, :2])
    sides = np.minimum(boxes[:, None, 2:], corners[:, 2:]) - low
    sides[~(sides > 0)] = 0  # Those that are no numbers, too.
    full: NDArray[np.float64] = (sides[..., 0] * sides[..., 1]).sum(axis=0) / (tall * wide)
    return np.minimum(full, 1.0)
