"""Presentation times as they leave a source: exact, growing, and the same shift for all streams."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

# Broadcast streams may start over at any time; a step back of more than this is such a splice and
# not merely a picture out of order.
_SPLICE = Fraction(1)


@dataclass(slots=True)
class Timeline:
    """Turns stored times into presentation times.

    Attributes:
        zero: the stored time, in seconds, that becomes 0; the same for all streams.
        spliced: whether the container is one whose clock may start over in the middle.
        nudged: how many pictures had no usable time and were given one.
        splices: how often the stored clock started over.
    """

    zero: Fraction = Fraction(0)
    spliced: bool = False
    nudged: int = 0
    splices: int = 0
    _shifts: list[Fraction] = field(default_factory=lambda: [Fraction(0)])
    _last: dict[int, Fraction] = field(default_factory=dict)
    _shift_of: dict[int, int] = field(default_factory=dict)

    def picture(
        self, stored: int | None, previous: int | None, duration: int, time_base: Fraction, key: int
    ) -> int:
        """The time of a picture in ticks of `time_base`, always later than the previous one.

        Args:
            stored: the picture's own time in ticks, None where it has none.
            previous: the time given to the picture before it.
            duration: how long a picture lasts as far as known, in ticks, at least 1.
            time_base: seconds per tick.
            key: the stream's index.
        """
        if stored is None:
            if previous is None:
                return 0
            self.nudged += 1
            return previous + duration
        ticks = self.shifted(stored, duration, time_base, key)
        if previous is not None and ticks <= previous:
            self.nudged += 1
            return previous + 1
        return ticks

    def shifted(self, stored: int, duration: int, time_base: Fraction, key: int) -> int:
        """A stored time in ticks of `time_base` on the output's clock."""
        if self.spliced:
            self._follow(stored, duration, time_base, key)
        shift = self._shifts[self._shift_of.get(key, 0)] - self.zero
        return stored + round(shift / time_base)

    def _follow(self, stored: int, duration: int, time_base: Fraction, key: int) -> None:
        at = stored * time_base
        last = self._last.get(key)
        if last is not None and at < last - _SPLICE:
            known = self._shift_of.get(key, 0) + 1
            if known == len(self._shifts):
                # The first stream to start over says by how much; the others follow, so that
                # sound and picture stay together.
                self._shifts.append(self._shifts[-1] + last + duration * time_base - at)
                self.splices += 1
            self._shift_of[key] = known
        self._last[key] = at
