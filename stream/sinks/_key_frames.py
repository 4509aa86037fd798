"""Which pictures other ones need nothing of, so that players can begin there."""

from __future__ import annotations

from fractions import Fraction


class KeyFrames:
    """Asks for key frames by time, as the distance in pictures says nothing at a variable rate."""

    def __init__(self, tick: Fraction, first: Fraction, every: Fraction) -> None:
        """Begins a file.

        Args:
            tick: seconds per tick of the pictures' clock.
            first: seconds from the first key frame to the second: how soon something can be seen.
            every: seconds from each later one to the next.
        """
        self._tick, self._first, self._every = tick, first, every
        self._next: Fraction | None = None

    def begin_anew(self) -> None:
        """Makes the next picture one, as somebody joins who has seen none."""
        self._next = None

    def due(self, at: int) -> bool:
        """Whether the picture at this tick is to be one; to be asked once for each, in order."""
        now = at * self._tick
        if self._next is None:
            self._next = now + self._first
            return True
        if now < self._next:
            return False
        self._next = now + self._every
        return True
