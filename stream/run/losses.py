"""Whether a live source's display keeps up, by the frames that it loses."""

from __future__ import annotations

from collections.abc import Callable

from stream.run.figures import Counts

_EVERY = 1.0
"""Seconds between two looks."""

_LOST = 0.05
"""Share of a lone source's frames that may be lost before the display counts as not keeping up: one
in thirty is a hiccup that fewer inferences would not mend."""

_FORGIVEN, _REMEMBERED = 1.25, 0.8
"""Lost frames that each of several sources is forgiven, and what share of them it still has against
it at the next look: one in seven seconds. Several fill the machine together, so that what is
allowed there is lost for ever."""


class Losses:
    """Looks at a source's counts once a second.

    Args:
        now: seconds on a clock that only goes forward.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._looked = now()
        self._before, self._left_out = Counts(), 0
        self._lately = 0.0

    @property
    def due(self) -> bool:
        """Whether it is time for the next look."""
        return self._now() - self._looked >= _EVERY

    def forgive(self, counts: Counts, left_out: int) -> None:
        """Holds what was lost since the last look against nobody; `keeps_up` has the arguments."""
        self._looked = self._now()
        self._before, self._left_out = counts, left_out

    def keeps_up(self, counts: Counts, left_out: int, *, alone: bool) -> bool | None:
        """Whether the display has kept up since the last look; None where too little speaks for it.

        Args:
            counts: the source's, so far.
            left_out: frames that were left out, so far, since too many waited for their inference:
                with fewer inferences more would.
            alone: whether no other source shares the machine.
        """
        self._looked = self._now()
        waited, self._left_out = left_out - self._left_out, left_out
        lost = max(0, counts.dropped - self._before.dropped - waited)
        came = counts.frames_out - self._before.frames_out
        self._before = counts
        self._lately = _REMEMBERED * self._lately + lost
        if alone:
            return lost <= _LOST * (lost + came)
        if not lost:
            return True
        return False if self._lately > _FORGIVEN else None
