"""One time line over all connections to a live source."""

from __future__ import annotations

from fractions import Fraction

TICKS = Fraction(1, 90_000)
"""Seconds per tick of every live source's time line; what MPEG-TS and RTP count in."""

LARGEST_STEP = 5.0
"""Seconds. A source whose clock jumps further than this, or back, has been set anew."""

_AHEAD = 1.5
"""Seconds that a picture may come too soon, and as much more as those before it came late: then a
source makes up for it. One that is damaged claims any time, and the next is back at its own."""

_FAST, _SLOW = 20.0, 60.0
"""Seconds that a connection's clock may get ahead of the wall clock, and fall behind it. Nothing
comes before it was taken, but for what a server has kept for who joins; and who is a minute late is
not live. Such a clock runs at another speed, as of some cameras at the double or half; what each is
off by may be a `_TRUE`th of the time besides, as no two clocks agree over days."""
_TRUE = 100

_OFF = 0.2
"""Seconds that a picture must be off the line for another clock to be tried."""


class Timeline:
    """Carries a source's own timestamps on to one line that never runs back.

    Within a connection the source's clock counts. Between connections, and where the source's
    clock jumps or is silent, the wall clock fills the gap, so a recording shows the outage at its
    true length. A clock that runs at another speed is left for the wall clock for good, until the
    next connection.

    Args:
        paced: whether pictures are taken at the pace of their times, so that the source's clock
            cannot be told from how fast they are taken.
    """

    def __init__(self, *, paced: bool = False) -> None:
        self.paced = paced
        self._shift: Fraction | None = None
        self._last: int | None = None
        self._last_wall = 0.0
        self._late = 0.0
        self._before: Fraction | None = None
        self._own: Fraction | None = None
        self._since: tuple[int, float] | None = None
        self._astray = False
        self._left: tuple[float, float] | None = None

    def remarks(self, name: str) -> list[str]:
        """That a clock was left, which nobody sees in a recording before it is too late.

        Args:
            name: the source's, for people.
        """
        if self._left is None:
            return []
        speed, seconds = self._left
        return [
            f"the clock of {name} ran at {speed:.2f} times the true speed: for {seconds:.0f} s its "
            f"times counted, so that {speed * seconds:.0f} s were recorded of them; after that it "
            "counts when its pictures came"
        ]

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
        self._shift = self._before = self._since = None
        self._astray = False

    def place(self, pts: int | None, time_base: Fraction | None, wall: float) -> int:
        """The tick of a picture.

        Args:
            pts: the picture's own timestamp, in ticks of `time_base`; None where it has none.
            time_base: seconds per tick.
            wall: `time.perf_counter()` when it came.
        """
        passed = 0.0 if self._last is None else wall - self._last_wall
        expected = 0 if self._last is None else self._last + max(1, round(passed / TICKS))
        own = pts * time_base if pts is not None and time_base else None
        stands, self._own = own is not None and own == self._own, own
        if own is None or self._astray or (stands and self._shift is not None):
            tick = expected  # a clock that stands still says nothing
        else:
            if self._shift is None:
                self._shift = expected * TICKS - own
            tick = round((own + self._shift) / TICKS)
            step = float((tick - (self._last or 0)) * TICKS) - passed
            if self._before is not None and self._last is not None and abs(step) > _OFF:
                # One damaged time is no new clock: the next picture has the one before.
                old = round((own + self._before) / TICKS)
                old_step = float((old - self._last) * TICKS) - passed
                if old > self._last and abs(old_step) < _OFF / 2:
                    self._shift, self._before = self._before, self._shift
                    tick, step = old, old_step
            soon = min(LARGEST_STEP, _AHEAD + self._late)
            if self._last is not None and (
                tick <= self._last - 1 or not -LARGEST_STEP <= step <= soon
            ):
                self._shift, self._before = expected * TICKS - own, self._shift
                tick, step, self._since = expected, self._late, None
            self._look(tick, wall)
            self._late = min(LARGEST_STEP, max(0.0, self._late - step))
        if self._last is not None:
            tick = max(tick, self._last + 1)
        self._last, self._last_wall = tick, wall
        return tick

    def _look(self, tick: int, wall: float) -> None:
        """Leaves a clock that runs at another speed than the wall's."""
        if self._since is None:
            self._since = tick, wall
        since, began = self._since
        ahead = float((tick - since) * TICKS) - (wall - began)
        usual = (wall - began) / _TRUE
        self._astray = not self.paced and not -_SLOW - usual <= ahead <= _FAST + usual
        if self._astray:
            self._left = float((tick - since) * TICKS) / max(wall - began, 1e-3), wall - began
