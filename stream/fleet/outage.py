"""When films cannot be fetched any more, or results be put in their places, on any machine."""

from __future__ import annotations

from collections.abc import Callable

from stream.errors import StreamError
from stream.wording.words import minutes

_LEAST = 10
"""So many in turn, or two of each worker, and it is no matter of single files."""
_PAUSE = 2.0
"""Seconds before one more is tried; twice that after each further one."""
_LONGEST_PAUSE = 60.0


class Outage:
    """Whether films come and results go where they belong; if not, one is tried at a time.

    Where credentials have run out, each film fails within a moment, and so would all that wait. A
    bucket that is full, or that may not be written to, lets each film be done for nothing, as
    often as files are tried. A storage that is away for some minutes comes back.

    Args:
        patience: seconds without any success after which there is no use in going on.
        clock: seconds that only go forward.
    """

    def __init__(self, patience: float, clock: Callable[[], float]) -> None:
        self._patience, self._clock = patience, clock
        self._in_turn, self._limit = 0, _LEAST
        self._why, self._fetching = "", False
        self._since = self._next = 0.0
        self._pause = _PAUSE

    def success(self) -> None:
        """Something was fetched, done and put in its place."""
        self._in_turn, self._pause = 0, _PAUSE

    def failure(self, why: str, *, fetching: bool = False) -> None:
        """A result could not be put in its place, although it was made.

        Args:
            why: in a sentence.
            fetching: it is a film that could not be fetched, by no fault of its own.
        """
        self._in_turn += 1
        self._why, self._fetching = why, fetching
        now = self._clock()
        if not self._lasts:
            self._since = self._next = now
        else:
            self._next = now + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    @property
    def _lasts(self) -> bool:
        return self._in_turn >= self._limit

    def room(self, free: int, running: int) -> int:
        """How many of the free workers are to be given something at most.

        Args:
            free: how many there are.
            running: how many have something to do.

        Raises:
            StreamError: it lasts for too long.
        """
        self._limit = max(_LEAST, 2 * (free + running))
        if not self._lasts:
            return free
        if running:
            return 0
        now = self._clock()
        if now - self._since > self._patience:
            nothing = (
                "no film could be fetched"
                if self._fetching
                else "no result could be put in its place"
            )
            raise StreamError(
                f"{nothing} for {minutes(self._patience)}, the last {self._in_turn} in turn "
                f"({self._why}); the same command goes on with the rest"
            )
        return min(free, 1) if now >= self._next else 0

    @property
    def note(self) -> str:
        """Why nothing goes on; "" where it does."""
        if not self._lasts:
            return ""
        cannot = "be fetched" if self._fetching else "have their results put in their places"
        return f"films cannot {cannot}, so one is tried at a time: {self._why}"
