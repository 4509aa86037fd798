"""Inference that several live sources share: who may begin now.

The rule is start-time fair queueing (Goyal, Vin and Cheng 1996): each source has a mark, the
seconds of inference that it has had, at what its model usually takes; who has had least goes first.
A source that was away begins where the others stand, so that it can neither claim what it did not
use nor be made to wait for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_WEIGHT = 0.1

_FORGOTTEN = 0.25
"""Seconds after which a source that does not ask counts as idle."""

_HELD, _LONGEST_HELD = 20.0, 160.0
"""Seconds without a loss after which the rest is shortened; twice as many each time that this was
too much, up to the second number. Who tries at once again loses frames for ever."""

_SETTLED = 1.0
"""Seconds after a source's opening from which on a lost frame says something of what follows."""


class Turns:
    """Gives turns to sources that share one machine's inference.

    A source asks with the newest frame it has. Where it is refused that frame goes on without an
    inference of its own, so nobody waits in line with a picture that grows old.

    Args:
        at_once: how many may infer at the same time.
        coming: how many sources will join, as far as that is known beforehand.
        now: seconds on a clock that only goes forward.
    """

    def __init__(
        self,
        at_once: int = 1,
        *,
        coming: int = 1,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._at_once = at_once
        self._coming = coming
        self._now = now
        self._opening = 0
        self._opened_at = float("-inf")
        self._changed = threading.Condition()
        self._mark = 0.0
        self._usual: dict[str, float] = {}
        self._members: set[Turn] = set()
        self._waiting: dict[Turn, float] = {}
        self._done_at = now()
        self.rest = 0.0
        """Seconds for which nobody begins after an inference, so that displays keep up."""
        self._lost_at = float("-inf")
        self._held = _HELD
        self._shortened = False

    def join(self) -> Turn:
        """One more source."""
        turn = Turn(self)
        with self._changed:
            self._members.add(turn)
        return turn

    @property
    def members(self) -> int:
        """How many sources have joined and not left."""
        with self._changed:
            return len(self._members)

    @property
    def several(self) -> bool:
        """Whether more than one has joined, or will."""
        return max(self._coming, self.members) > 1

    @contextmanager
    def opening(self) -> Iterator[None]:
        """While a source opens: that others lose frames then, and just after, says nothing."""
        with self._changed:
            self._opening += 1
        try:
            yield
        finally:
            with self._changed:
                self._opening -= 1
                self._opened_at = self._now()

    @property
    def calm(self) -> bool:
        """Whether no source opens, or has just done so."""
        with self._changed:
            return not self._opening and self._now() - self._opened_at >= _SETTLED

    def take(self, turn: Turn, patience: float, at_once: int) -> bool:
        """Whether a source may begin now, or within `patience` seconds; see `Turn`."""
        deadline = self._now() + patience
        with self._changed:
            if self._now() - turn.seen > _FORGOTTEN:
                turn.mark = max(turn.mark, self._mark)
            self._ask(turn)
            while not self._free(turn, at_once):
                left = deadline - self._now()
                if left <= 0:
                    return False
                # Nobody tells that a rest is over.
                rest = self._done_at + self.rest - self._now()
                pause = min(left, rest) if rest > 0 else left
                told = self._changed.wait(pause)
                if not told and pause == left and not self._free(turn, at_once):
                    return False
                self._ask(turn)
            del self._waiting[turn]
            turn.busy = True
            self._mark = max(self._mark, turn.mark)
            return True

    def _ask(self, turn: Turn) -> None:
        self._waiting[turn] = turn.seen = self._now()

    def _free(self, turn: Turn, at_once: int) -> bool:
        now = self._now()
        if self._under_way >= max(self._at_once, at_once):
            return False
        if now - self._done_at < self.rest:
            return False
        for other, asked in list(self._waiting.items()):
            if now - asked > _FORGOTTEN:
                del self._waiting[other]
        least = min((one.mark for one in self._waiting), default=turn.mark)
        # One inference ahead at most: who comes first need not wait for who is owed a little more.
        return turn.mark <= least + turn.usual

    @property
    def _under_way(self) -> int:
        """How many infer now."""
        return sum(one.busy for one in self._members)

    def give_back(self, turn: Turn, seconds: float, model: str) -> None:
        """A source's inference is done, or it never began."""
        with self._changed:
            turn.busy = False
            self._done_at = turn.seen = self._now()
            if seconds:
                before = self._usual.get(model, seconds)
                self._usual[model] = turn.usual = before + _WEIGHT * (seconds - before)
                # Not its own seconds: that the machine was busy just then is not its doing.
                turn.mark += turn.usual
            self._changed.notify_all()

    def lengthen(self, seconds: float, longest: float) -> None:
        """A source loses frames: the rest becomes so much longer, up to `longest`."""
        with self._changed:
            if self._shortened:
                self._held = min(2 * self._held, _LONGEST_HELD)
                self._shortened = False
            self._lost_at = self._now()
            self.rest = min(self.rest + seconds, longest)

    def shorten(self, seconds: float) -> None:
        """A source keeps up: the rest becomes shorter, where no other has lost frames lately."""
        with self._changed:
            if self.rest and self._now() - self._lost_at >= self._held:
                self._shortened = True
                self.rest = max(0.0, self.rest - seconds)

    @property
    def sources(self) -> int:
        """How many sources have asked lately, or are inferred now, however long that takes."""
        with self._changed:
            since = self._now() - _FORGOTTEN
            return sum(one.busy or one.seen >= since for one in self._members)

    def leave(self, turn: Turn) -> None:
        """A source has ended; a turn that it still has is free again."""
        with self._changed:
            self._members.discard(turn)
            self._waiting.pop(turn, None)
            self._changed.notify_all()


class Turn:
    """One source's part in the turns.

    Attributes:
        mark: seconds of inference that it has had, or that it came in with.
        usual: seconds that one of its model takes, as a running mean over all sources.
        seen: when it asked last, or was done.
        busy: whether an inference of its is under way.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.mark = 0.0
        self.usual = 0.0
        self.seen = float("-inf")
        self.busy = False

    @property
    def rest(self) -> float:
        """Seconds for which nobody begins after an inference; all sources share them."""
        return self._turns.rest

    @rest.setter
    def rest(self, seconds: float) -> None:
        self._turns.rest = seconds

    def lengthen(self, seconds: float, longest: float) -> None:
        """It loses frames: the rest of all becomes so much longer, up to `longest`."""
        self._turns.lengthen(seconds, longest)

    def shorten(self, seconds: float) -> None:
        """It keeps up: the rest of all becomes so much shorter, unless others have lost frames."""
        self._turns.shorten(seconds)

    @property
    def calm(self) -> bool:
        """Whether no source opens, or has just done so."""
        return self._turns.calm

    @property
    def sources(self) -> int:
        """How many share the turns now, itself included."""
        return max(1, self._turns.sources)

    def take(self, patience: float = 0.0, at_once: int = 1) -> bool:
        """Whether an inference may begin now, or within so many seconds; `give_back` ends it.

        Args:
            patience: how long it waits for that.
            at_once: how many may be under way at once, itself included, as its model takes them
                together.
        """
        return self._turns.take(self, patience, at_once)

    def give_back(self, seconds: float, model: str = "") -> None:
        """The inference is done, took so long and was this model's; from any thread.

        Of one that was done together with others' only its share counts.
        """
        self._turns.give_back(self, seconds, model)

    def leave(self) -> None:
        """It asks no more, and has no turn any more."""
        self._turns.leave(self)
