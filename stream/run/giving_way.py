"""What inference beside a display gives up so that the display keeps up, and takes back later."""

from __future__ import annotations

from stream.run.turns import Turn

_LONGEST_REST = 2.0
"""How long inference pauses at most to let the display keep up, in its own durations."""

_SELDOM = 0.4
"""Seconds between two inferences of each of several sources, where the machine can do that."""

_LONGER, _SHORTER = 0.5, 0.1
"""By how much of an inference the pause changes at once, in the two directions."""

_FINE_AFTER, _LATEST_FINE = 10, 320
"""Looks in a row at which the display keeps up before what was given up last is taken back;
twice as many each time, up to the second number."""


class GivingWay:
    """One thing after the other: waiting for answers, fine motion, then time between inferences.

    Attributes:
        waits: whether frames wait for their own inference where the model is quick enough.
        fine: whether motion is measured at its finest scale too.

    Args:
        turn: whose rest between two inferences is changed; other sources may share it.
    """

    def __init__(self, turn: Turn) -> None:
        self.waits = self.fine = True
        self._turn = turn
        self._kept_up, self._fine_after = 0, _FINE_AFTER

    def adapt(self, *, keeps_up: bool, inference: float | None, spares_cores: bool) -> None:
        """Does with less, or goes back to more, by one step.

        Args:
            keeps_up: whether the display has kept up since the last look.
            inference: seconds that one takes; None where the pause is not to change.
            spares_cores: whether it computes elsewhere than on the processor's cores.
        """
        if not self._done_by_itself(keeps_up, spares_cores) and inference is not None:
            self._change_rest(keeps_up, inference)

    def _done_by_itself(self, keeps_up: bool, spares_cores: bool) -> bool:
        """Gives up waiting, then fine motion; or takes back; whether that was this look's step."""
        self._kept_up = self._kept_up + 1 if keeps_up else 0
        if not keeps_up:
            # Where a card computes, waiting costs the cores nothing, and carrying does.
            if not spares_cores and self.waits and self._turn.sources > 1:
                self.waits = False
                return True
            if self.fine:
                self.fine = False
                return True
        elif self._kept_up >= self._fine_after and not self._turn.rest:
            if self.fine and self.waits:
                return False
            if self.fine:
                self.waits = True
            self.fine = True
            self._kept_up = 0
            self._fine_after = min(2 * self._fine_after, _LATEST_FINE)
        return False

    def _change_rest(self, keeps_up: bool, inference: float) -> None:
        sources = self._turn.sources
        longest = _LONGEST_REST * inference
        if sources > 1:
            # They share the rest: all together must not wait as long as each alone might, but
            # more often than seldom need none be inferred while any loses frames.
            longest = max(longest / sources, _SELDOM / sources - inference)
        if keeps_up:
            self._turn.shorten(_SHORTER * inference / sources)
        else:
            self._turn.lengthen(_LONGER * inference / sources, longest)
