"""One time line over all connections to a live source."""

from __future__ import annotations

from fractions import Fraction

TICKS = Fraction(1, 90_000)
"""Seconds per tick of every live source's time line; what MPEG-TS and RTP count in."""

LARGEST_STEP = 5.0
"""Seconds. A source whose clock jumps further than this, or back, has been set anew."""


class Timeline:
    """Carries a source's own timestamps on to one line that never runs back.

    Within a connection the source's clock counts. Between connections, and where the source's
    clock jumps or is silent, the wall clock fills the gap, so a recording shows the outage at its
    true length.
    """

    def __init__(self) -> None:
        self._shift: Fraction | None = None
        self._last: int | None = None
        self._last_wall = 0.0

    @property
    def shift(self) -> Fraction | None:
        """Seconds to add to the connection's own times; None before its first picture."""
        return self._shift

    def present(self, wall: float) -> float | None:
        """Seconds that the line has come to; None before the first picture.

        Args:
            wall: `time.perf_counter()`.
        """
        if self._last is None:
            return None
        return float(self._last * TICKS) + wall - self._last_wall

    def reconnected(self) -> None:
        """Says that what comes next was stamped by a new clock."""
        self._shift = None

    def place(self, pts: int | None, time_base: Fraction | None, wall: float) -> int:
        """The tick of a picture.

        Args:
            pts: the picture's own timestamp, in ticks of `time_base`; None where it has none.
            time_base: seconds per tick.
            wall: `time.perf_counter()` when it came.
        """
        passed = 0.0 if self._last is None else wall - self._last_wall
        expected = 0 if self._last is None else self._last + max(1, round(passed / TICKS))
        if pts is None or not time_base:
            tick = expected
        else:
            own = pts * time_base
            if self._shift is None:
                self._shift = expected * TICKS - own
            tick = round((own + self._shift) / TICKS)
            step = float((tick - (self._last or 0)) * TICKS) - passed
            if self._last is not None and (tick <= self._last - 1 or abs(step) > LARGEST_STEP):
                self._shift = expected * TICKS - own
                tick = expected
        if self._last is not None:
            tick = max(tick, self._last + 1)
        self._last, self._last_wall = tick, wall
        return tick
