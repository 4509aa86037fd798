"""Labels that stand still while what they belong to does."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stream.roi import Window
from stream.types import JSON

_SLOW, _EAGER = 0.3, 0.5
"""How quickly a label follows (Casiez et al., "1 Euro Filter: A Simple Speed-based Low-pass Filter
for Noisy Input in Interactive Systems", CHI 2012): the cut-off of what stands still in hertz, and
by how much it rises for each of the label's heights a second by which its object moves."""

_PACE = 1.0
"""The cut-off of the speed itself, in hertz."""

_STILL = 0.12
"""By which share of its height a label must move to be moved at all."""

_PATIENCE = 0.5
"""Seconds for which a better place must be free before a label that gave way goes there, and for
which a label is remembered."""

Spot = tuple[int, int]
"""A label's first row and column."""


@dataclass(slots=True)
class _Standing:
    seconds: float
    point: tuple[float, float]
    speed: tuple[float, float] = (0.0, 0.0)
    wanted: Spot | None = None
    aside: Spot = (0, 0)
    better: float | None = None


class Settled:
    """Where each object's label stands, from frame to frame. One thread at a time.

    Masks tremble by a pixel or two, and labels that give way to each other would change places
    with every frame in which one of them has room by a hair.
    """

    def __init__(self) -> None:
        self._standing: dict[int, _Standing] = {}
        self._seconds = self._before = -math.inf

    def begin(self, seconds: float) -> None:
        """Is told the next frame's presentation time; who has not been there lately is new."""
        if seconds <= self._seconds:
            self._standing.clear()
        self._before, self._seconds = self._seconds, seconds
        self._standing = {
            track: one
            for track, one in self._standing.items()
            if seconds - one.seconds <= _PATIENCE
        }

    def state(self) -> JSON:
        """All that is known, ready for JSON."""
        standing: list[JSON] = [
            {
                "track": track,
                "seconds": one.seconds,
                "point": list(one.point),
                "speed": list(one.speed),
                "wanted": None if one.wanted is None else list(one.wanted),
                "aside": list(one.aside),
                "better": one.better,
            }
            for track, one in self._standing.items()
        ]
        return {"seconds": self._seconds, "before": self._before, "standing": standing}

    def go_on(self, state: JSON) -> None:
        """Knows what another one knew.

        Args:
            state: of that one.
        """
        known: Any = state
        self._seconds, self._before = known["seconds"], known["before"]
        self._standing = {
            one["track"]: _Standing(
                one["seconds"],
                tuple(one["point"]),
                tuple(one["speed"]),
                None if one["wanted"] is None else tuple(one["wanted"]),
                tuple(one["aside"]),
                one["better"],
            )
            for one in known["standing"]
        }

    def point(self, track: int, point: tuple[float, float], height: int) -> tuple[float, float]:
        """Where an object's label belongs, without what trembles.

        Args:
            track: the object's number.
            point: where it belongs by this frame alone, x and y in pixels.
            height: the label's, in pixels.
        """
        there = self._standing.get(track)
        if there is None:
            self._standing[track] = _Standing(self._seconds, point)
            return point
        elapsed = self._seconds - there.seconds
        if there.seconds < self._before:  # Who was gone is at once where he is found.
            there.seconds, there.point, there.speed = self._seconds, point, (0.0, 0.0)
            return point
        found = [
            _followed(*values, elapsed, height)
            for values in zip(point, there.point, there.speed, strict=True)
        ]
        (x, horizontal), (y, vertical) = found
        there.seconds, there.point, there.speed = self._seconds, (x, y), (horizontal, vertical)
        return x, y

    def wanted(self, track: int, spot: Spot, size: tuple[int, int]) -> Spot:
        """Where a label would stand were nothing in its way: where it stood, if that is near.

        Args:
            track: the object's number, of which `point` was asked.
            spot: by the frame alone.
            size: the label's height and width.
        """
        there = self._standing[track]
        before = there.wanted
        if before is None or max(abs(spot[0] - before[0]), abs(spot[1] - before[1])) > (
            _STILL * size[0]
        ):
            there.wanted = spot
        return there.wanted or spot

    def chosen(
        self, track: int, wanted: Window, best: Window, free: Callable[[Spot], Window | None]
    ) -> Window:
        """Where a label stands: as far aside as before, until a better place was free for a while.

        Args:
            track: the object's number, of which `point` was asked.
            wanted: where it would stand were nothing in its way.
            best: where it would by this frame alone.
            free: the window at a spot, moved into the picture; None where it is not free.
        """
        there = self._standing[track]
        if best == wanted and there.aside == (0, 0):
            there.better = None
            return best
        held = free((wanted[0] + there.aside[0], wanted[2] + there.aside[1]))
        if held is not None and held != best:
            since = self._seconds if there.better is None else there.better
            if self._seconds - since < _PATIENCE:
                there.better = since
                return held
        there.better = None
        there.aside = best[0] - wanted[0], best[2] - wanted[2]
        return best


def _followed(
    value: float, before: float, speed: float, elapsed: float, height: int
) -> tuple[float, float]:
    """A coordinate of the filter, and its speed in pixels a second."""
    speed += _share(_PACE, elapsed) * ((value - before) / elapsed - speed)
    cutoff = _SLOW + _EAGER * abs(speed) / height
    return before + _share(cutoff, elapsed) * (value - before), speed


def _share(cutoff: float, elapsed: float) -> float:
    """How much of what is new a low-pass filter takes over, 0..1."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff * elapsed))
