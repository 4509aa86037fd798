"""One time line over all connections to a live source."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

TICKS = Fraction(1, 90_000)
"""Seconds per tick of every live source's time line; what MPEG-TS and RTP count in."""

LARGEST_STEP = 5.0
"""Seconds. A source whose clock jumps further than this, or back, has been set anew, unless it only
goes on behind a silence in which it may have stood, as that of a sender that was suspended."""

_AHEAD = 1.5
"""Seconds that a picture may come too soon, and as much more as those before it came late: then a
source makes up for it. One that is damaged claims any time, and the next is back at its own."""

_FAST, SLOW = 20.0, 60.0
"""Seconds that a connection's clock may get ahead of the wall clock, and fall behind it. Nothing
comes before it was taken, but for what a server has kept for who joins; and who is a minute late is
not live. Such a clock runs at another speed, as of some cameras at the double or half; what each is
off by may be a `_TRUE`th of the time besides, as no two clocks agree over days."""
_TRUE = 100

_OFF = 0.2
"""Seconds that a picture must be off the line for another clock to be tried."""

_STEPS = 8
"""Pictures by which is known how far they are from each other."""

_BEGINNING = 10.0
"""Seconds of a connection in which a server sends what it has kept for who joins."""

_AT_PACE = 8.0
"""Seconds of pictures, by their own clock, which make nothing up for a silence: the clock stood."""

_REMEMBERED = 32
"""Pictures by most of which a clock is known that has stepped back to where it was."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A picture that is on the line, and what was known when it came.

    Attributes:
        tick: where its own clock has it; on the line it may be later, as nothing runs back.
        wall: seconds, when it came.
        shift: what was added to its connection's times.
        late: seconds that pictures came late by then.
        since: where the clock of that time was taken up.
    """

    tick: int
    wall: float
    shift: Fraction | None
    late: float
    since: tuple[int, float] | None

    def step(self, tick: int, wall: float) -> float:
        """Seconds that another picture comes sooner than those that passed say."""
        return float((tick - self.tick) * TICKS) - (wall - self.wall)

    def precedes(self, tick: int, wall: float, soon: float) -> bool:
        """Whether one clock may say this and that, which may come so many seconds too soon."""
        soon = min(LARGEST_STEP, soon + self.late)
        return tick > self.tick and -LARGEST_STEP <= self.step(tick, wall) <= soon


class _Behind:
    """Tells by the pace of pictures behind a silence whether their clock has stood in it.

    What was held up comes faster than it was taken. Where nothing was made up for that way for a
    while the clock has stood, as of a player that was paused.

    Args:
        first: the picture behind the silence.

    Attributes:
        shift: of the clock.
        late: seconds that it is behind.
        least: the least that it was.
    """

    def __init__(self, first: _Placed) -> None:
        self.shift = first.shift
        self.late = self.least = self._most = first.late
        self._last, self._at = first, first.tick

    def took(self, picture: _Placed) -> None:
        """Takes note of a picture that the clock has placed."""
        self.late -= self._last.step(picture.tick, picture.wall)
        self._last = picture
        if self.late < self.least - _OFF / 2:
            self.least = self._most = self.late
            self._at = picture.tick
        # Who makes up for something may be held up again meanwhile.
        self._most = max(self._most, self.late)

    def stood(self) -> bool:
        """Whether the clock has stood, as far as is known by now."""
        passed = float((self._last.tick - self._at) * TICKS)
        return passed >= _AT_PACE + self._most - self.least


class Timeline:
    """Carries a source's own timestamps on to one line that never runs back.

    The source's clock counts, also behind a silence, and by another connection where it goes on:
    who was held up sends what was taken meanwhile at once. Where that is not so behind a silence of
    more than a minute, the clock stood in it: the gap follows as soon as this is known. Between
    other connections, and where the source's clock jumps or is silent, the wall clock fills the
    gap, so a recording shows the outage at its true length. Servers begin with what they have kept
    for who joins, which was taken in the outage before: so that many outages make the line no
    longer, the next one is shorter by that.
    One damaged time is no new clock, whenever it comes: those around it tell it from one. A clock
    that runs at another speed is left for the wall clock for good, until the next connection.

    Args:
        paced: whether pictures are taken at the pace of their times, so that the source's clock
            cannot be told from how fast they are taken.
        still: seconds for which one picture of a film may stand; None where what comes is live.
    """

    def __init__(self, *, paced: bool = False, still: float | None = None) -> None:
        self.paced, self.still = paced, still
        self._shift: Fraction | None = None
        self._last: _Placed | None = None
        self._anchor: _Placed | None = None
        self._line = 0
        self._late = 0.0
        self._before: _Placed | None = None
        self._lately: deque[_Placed] = deque(maxlen=_REMEMBERED)
        self._own: Fraction | None = None
        self._began: tuple[int, float] | None = None
        self._kept = self._owed = 0.0
        self._since: tuple[int, float] | None = None
        self._astray = False
        self._left: tuple[float, float] | None = None
        self._behind: _Behind | None = None

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
        return float(self._line * TICKS) + wall - self._last.wall

    def silence(self, wall: float) -> float:
        """Seconds without a picture; 0 before the first one.

        Args:
            wall: `time.perf_counter()`.
        """
        return 0.0 if self._last is None else wall - self._last.wall

    def reconnected(self) -> None:
        """Says that what comes next was stamped by a new clock, unless the one before goes on."""
        self._shift = self._before = self._since = self._anchor = self._began = None
        self._astray = False
        self._lately.clear()

    def place(self, pts: int | None, time_base: Fraction | None, wall: float) -> int:
        """The tick of a picture.

        Args:
            pts: the picture's own timestamp, in ticks of `time_base`; None where it has none.
            time_base: seconds per tick.
            wall: `time.perf_counter()` when it came.
        """
        last = self._last
        passed = 0.0 if last is None else wall - last.wall
        if passed <= LARGEST_STEP:
            # By so much a clock may run late for days.
            self._late = max(0.0, self._late - passed / _TRUE)
        own = pts * time_base if pts is not None and time_base else None
        goes_on = self._began is None and last is not None and self._goes_on(own, last, wall)
        if goes_on and last is not None:
            self._owed, self._shift, self._since = self._kept, last.shift, last.since
        elif self._began is None:
            # What came last may have come late, as where it waited for the end of a time-out.
            passed, self._late = passed + self._late, 0.0
            self._owed, passed = max(0.0, self._kept - passed), passed - self._kept
        expected = 0 if last is None else self._line + max(1, round(passed / TICKS))
        stands, self._own = own is not None and own == self._own, own
        counts = not (self._astray or (stands and self._shift is not None))
        if own is not None and counts:
            tick = self._made_up(self._by_its_clock(own, expected, wall), wall)
            self._look(tick, wall)
        else:
            tick = expected  # a clock that stands still says nothing
            self._anchor = last
        self._line = tick if last is None else max(tick, self._line + 1)
        if self._began is None:
            self._began = expected if goes_on else self._line, wall
        if wall - self._began[1] <= _BEGINNING:
            ahead = float((self._line - self._began[0]) * TICKS) - (wall - self._began[1])
            self._kept = self._owed + max(0.0, ahead)
        shift = None if self._astray else self._shift
        self._last = _Placed(tick, wall, shift, self._late, self._since)
        if own is not None and counts:
            self._lately.append(self._last)
        return self._line

    def _by_its_clock(self, own: Fraction, expected: int, wall: float) -> int:
        """Where a picture's clock has it on the line, or where it came if that cannot be.

        Args:
            own: seconds of its connection.
            expected: its tick by the wall clock.
            wall: seconds, when it came.
        """
        last, anchor = self._last, self._anchor
        if self._shift is None or last is None:
            self._shift = expected * TICKS - own
            return expected
        tick = round((own + self._shift) / TICKS)
        step = float((tick - self._line) * TICKS) - (wall - last.wall)
        if self.still is None:
            fits = tick >= self._line and -LARGEST_STEP <= step <= self._soon(tick) + self._late
            fits = fits or self._goes_on(own, last, wall)
        else:
            fits = 0 <= tick - self._line <= self.still / TICKS
        known = self._known(own, wall) if not fits or abs(step) > _OFF else None
        if known is not None and known.shift is not None:
            # The pictures before may have claimed anything, alike or not.
            return self._resume(known, round((own + known.shift) / TICKS), wall)
        if anchor is not None and anchor.shift is not None:
            # So may one alone, among few or where they come late: where this picture bears out the
            # one before that instead, it was damaged.
            old = round((own + anchor.shift) / TICKS)
            nearer = not fits or abs(anchor.step(old, wall)) <= abs(step)
            doubtful = anchor.shift != self._shift or not fits
            if doubtful and nearer and anchor.precedes(old, wall, self._soon(old)):
                return self._resume(anchor, old, wall)
        self._anchor = last
        before = self._before
        if before is not None and before.shift is not None and abs(step) > _OFF:
            # As it is after several that were damaged alike.
            old = round((own + before.shift) / TICKS)
            if abs(before.step(old, wall)) < _OFF / 2:
                self._shift, self._before, self._since = before.shift, last, before.since
                self._late = self._later(before.late, before.step(old, wall))
                return old
        if not fits:
            self._shift, self._before = expected * TICKS - own, last
            tick, step, self._since = expected, self._late, None
        self._late = self._later(self._late, step)
        return tick

    def _soon(self, tick: int) -> float:
        """Seconds that a picture may come too soon where none before it came late.

        Pictures in a burst are as far from each other as those before were. One that is much
        further claims what nothing has made up for, and those behind it would find their places
        taken.

        Args:
            tick: where its clock has it.
        """
        if self.paced or len(self._lately) < _STEPS:
            return _AHEAD
        steps = [after.tick - before.tick for before, after in pairwise(self._lately)]
        further = float((tick - self._lately[-1].tick - max(steps)) * TICKS)
        return _AHEAD if further <= _OFF else _OFF

    def _goes_on(self, own: Fraction | None, last: _Placed, wall: float) -> bool:
        """Whether the clock of the last picture goes on behind a silence.

        One that begins anew begins where it began before, which is no later than it had come to;
        so it must have gone for a while.

        Args:
            own: seconds, of the picture that came.
            last: the picture before.
            wall: seconds, when it came.
        """
        if own is None or last.shift is None or last.since is None:
            return False
        if self.paced and wall - last.wall > SLOW:
            return False  # what comes in bursts anyway tells nothing by its pace
        tick = round((own + last.shift) / TICKS)
        went = float((last.tick - last.since[0]) * TICKS)
        soon = _OFF + self._late
        return tick > self._line and went > LARGEST_STEP and last.step(tick, wall) <= soon

    def _resume(self, picture: _Placed, tick: int, wall: float) -> int:
        """Goes on with the clock of another picture; returns the tick.

        Args:
            picture: that was placed by it.
            tick: where it has the picture that came.
            wall: seconds, when that came.
        """
        self._before, self._shift, self._since = None, picture.shift, picture.since
        self._late = self._later(picture.late, picture.step(tick, wall))
        self._anchor = _Placed(tick, wall, self._shift, self._late, self._since)
        return tick

    def _known(self, own: Fraction, wall: float) -> _Placed | None:
        """The newest of the pictures lately placed whose clock most of them share with this one.

        Args:
            own: seconds of its connection.
            wall: seconds, when it came.
        """
        agreed = [
            one
            for one in self._lately
            if one.shift is not None
            and abs(one.step(round((own + one.shift) / TICKS), wall)) < _OFF / 2
        ]
        return agreed[-1] if 2 * len(agreed) > len(self._lately) else None

    @staticmethod
    def _later(late: float, step: float) -> float:
        """Seconds that pictures come late by, after one that was sooner by `step`."""
        return max(0.0, late - step)

    def _made_up(self, tick: int, wall: float) -> int:
        """Where a picture is, once it is known that its clock stood in a silence before.

        Args:
            tick: where its clock has it.
            wall: seconds, when it came.
        """
        last, behind = self._last, self._behind
        if last is None or self._shift is None:
            return tick
        picture = _Placed(tick, wall, self._shift, self._late, self._since)
        if behind is None or behind.shift != self._shift:
            silent = wall - last.wall > LARGEST_STEP and last.shift == self._shift
            if silent and self._late > SLOW and not self.paced:
                self._behind = _Behind(picture)
            return tick
        behind.took(picture)
        if behind.late <= LARGEST_STEP:
            self._behind = None
        elif behind.stood():
            gap = round(behind.least / TICKS)
            self._shift += gap * TICKS
            self._late = self._later(self._late, behind.least)
            # None of these may be what a later picture is put back to.
            self._before = self._anchor = self._behind = None
            self._lately.clear()
            return tick + gap
        return tick

    def _look(self, tick: int, wall: float) -> None:
        """Leaves a clock that runs at another speed than the wall's."""
        if self._since is None:
            self._since = tick, wall
        since, began = self._since
        ahead = float((tick - since) * TICKS) - (wall - began)
        if self._behind is not None and self._behind.shift == self._shift:
            ahead += self._behind.late
        usual = (wall - began) / _TRUE
        self._astray = not self.paced and not -SLOW - usual <= ahead <= _FAST + usual
        if self._astray:
            self._left = float((tick - since) * TICKS) / max(wall - began, 1e-3), wall - began
