"""An object that `motion` follows: where it is heading, its class, its colours, its mask so far."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances
from stream.pictures.sizes import growth, in_another_size
from stream.tracking.association import Placed
from stream.tracking.base import DOUBT, ROUNDING, Known

_HABIT = 0.6
"""Seconds over which an object's colours are averaged."""

_SMOOTHING = 0.15
"""Seconds over which speed is averaged."""

_VOTE = 2.0
"""Seconds over which the class is voted on, falling off exponentially."""

_CARRIED = 0.2
"""Seconds for which what an object's mask has reached counts as its place."""

_STILL, _EDGE = 0.5, 0.01
"""Who moved by less than the first share of his size a second, and was farther from the picture's
edges than the second share of its shorter side, has not walked off when he is gone."""


@dataclasses.dataclass(eq=False)
class Followed(Known):
    """An object that was seen.

    Attributes:
        votes: how much it was taken for each class, by label.
        first_seen: when it was found first, in seconds.
        met: at which inference it was found first, counted from the run's first.
        sightings: how often it reached the threshold.
        best: its best score so far.
        patience: seconds over which it must be found to be confirmed, where it is part of another.
        stayed: whether it stood still, away from the picture's edges, when it was found last.
        velocity: float32 [2], of its centre, pixels per second.
        colours: float32 [K], shares that add up to 1; None where they are not known.
        scene: in which it was found last.
        reach: where its masks lay lately, with what was painted with them, and when; last first.
    """

    votes: dict[int, float]
    first_seen: float
    met: int
    best: float
    velocity: NDArray[np.float32]
    colours: NDArray[np.float32] | None
    scene: int
    patience: float | None = None
    stayed: bool = False
    sightings: int = 1
    reach: list[tuple[float, Placed]] = dataclasses.field(default_factory=list)

    def take(self, candidates: Instances, index: int, seconds: float, *, sure: bool) -> None:
        """Is found again as one of the candidates."""
        box, label = candidates.boxes[index], int(candidates.labels[index])
        gap = seconds - self.seen
        if gap > ROUNDING:
            moved = box - self.box
            speed = (moved[:2] + moved[2:]) * np.float32(0.5 / gap)
            weight = np.float32(1 - math.exp(-gap / _SMOOTHING))
            self.velocity = self.velocity + weight * (speed - self.velocity)
            fade = math.exp(-gap / _VOTE)
            self.votes = {one: fade * weight for one, weight in self.votes.items()}
            if candidates.colours is not None and self.colours is not None:
                weight = np.float32(1 - math.exp(-gap / _HABIT))
                self.colours = self.colours + weight * (candidates.colours[index] - self.colours)
        self.votes[label] = self.votes.get(label, 0.0) + float(candidates.scores[index])
        self.scene = candidates.scene
        self.stayed = self._stays_in(candidates.picture_size)
        self.sightings += sure
        self.best = max(self.best, float(candidates.scores[index]))
        self.found(box, seconds, sure=sure)

    def resize(self, before: tuple[int, int], after: tuple[int, int]) -> None:
        """Pictures have another size now, and show it elsewhere: heights and widths."""
        super().resize(before, after)
        self.velocity = self.velocity * np.float32(growth(before, after))
        self.reach = [
            (when, (mask, in_another_size(box, before, after))) for when, (mask, box) in self.reach
        ]

    def _stays_in(self, picture_size: tuple[int, int]) -> bool:
        left, top, right, bottom = self.box.tolist()
        height, width = picture_size
        margin = _EDGE * min(height, width)
        inside = min(left, top, width - right, height - bottom) > margin
        size = math.sqrt(max(right - left, 1e-3) * max(bottom - top, 1e-3))
        return inside and float(np.hypot(*self.velocity)) < _STILL * size

    def holds(self, seconds: float) -> bool:
        """Whether it is taken for found where it does not reach the threshold."""
        return self.present and (not self.doubted or seconds - self.sure <= DOUBT + ROUNDING)

    def reached(self, placed: Placed, seconds: float) -> None:
        """Is told where its mask lies now, with what is painted with it."""
        lately = [one for one in self.reach if seconds - one[0] <= _CARRIED + ROUNDING]
        self.reach = [(seconds, placed), *lately]

    def carried(self, seconds: float) -> list[Placed]:
        """Where its masks lay lately, before now."""
        return [placed for when, placed in self.reach if 0 < seconds - when <= _CARRIED + ROUNDING]

    @property
    def label(self) -> int:
        """The class that it was taken for most."""
        return max(self.votes, key=lambda label: self.votes[label])
