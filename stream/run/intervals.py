"""How fast the pictures of a live source come."""

from __future__ import annotations

_WEIGHT = 0.05
_FIRST, _LONGEST = 10, 2.0
"""So many intervals between pictures are believed at first; and more seconds none is taken for."""


_OUTAGE, _TIMES = 1.0, 4
"""A pause of more seconds than the first, and of more intervals than the second, is an outage."""


class Intervals:
    """The time between two pictures of a source, as a running mean.

    A source of few pictures is known by its first ones; later a long interval is an outage.
    """

    def __init__(self) -> None:
        self.seconds = 1 / 30
        self._count = 0
        self._last: float | None = None

    def came(self, seconds: float) -> bool:
        """A picture of that time has come; returns whether none had come for far too long."""
        last, self._last = self._last, seconds
        if last is None or seconds <= last:
            return False
        outage = seconds - last > max(_OUTAGE, _TIMES * self.seconds) and self._count >= _FIRST
        self._count += 1
        most = _LONGEST if self._count <= _FIRST else min(_TIMES * self.seconds, _LONGEST)
        weight = max(_WEIGHT, 1 / (self._count + 1))
        self.seconds += weight * (min(seconds - last, most) - self.seconds)
        return outage
