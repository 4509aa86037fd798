"""A source of several that is not there when the others begin, and is waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from stream.errors import SourceError
from stream.sources.base import Source

_FIRST, _LONGEST = 1.0, 10.0
"""Seconds between attempts to open it."""


class Company:
    """Which of several sources are there, or may soon be: meanwhile others are waited for.

    Args:
        names: of the sources, none of which has been opened yet.
        now: seconds that only go forward.
    """

    def __init__(self, names: Iterable[str], *, now: Callable[[], float] = time.monotonic) -> None:
        self._there = set(names)
        self._now = now
        self._changed = threading.Condition()

    def left(self, name: str) -> None:
        """A source has ended, or is not there."""
        with self._changed:
            self._there.discard(name)
            self._changed.notify_all()

    def joined(self, name: str) -> None:
        """A source that was not there is."""
        with self._changed:
            self._there.add(name)

    def look(self) -> None:
        """Whoever waits looks whether its source is still wanted."""
        with self._changed:
            self._changed.notify_all()

    def awaited(
        self,
        name: str,
        opened: Callable[[], Source],
        said: Callable[[SourceError], None],
        *,
        wanted: Callable[[], bool],
        patience: float | None = None,
    ) -> Source:
        """Opens a source, if need be again and again, for as long as another one goes on.

        Args:
            name: of the source.
            opened: opens it.
            said: is told once that it is not there and waited for.
            wanted: whether anybody still wants it.
            patience: seconds after which it is given up; None for never.

        Raises:
            StreamError: it is not there, and is not waited for any more.
        """
        began, pause, told = self._now(), _FIRST, False
        while True:
            try:
                source = opened()
            except SourceError as error:
                self.left(name)
                late = patience is not None and self._now() - began >= patience
                if error.lasting or late or not self.waits(0.0, wanted):
                    raise
                if not told:
                    said(error)
                told = True
                if not self.waits(pause, wanted):
                    raise
                pause = min(_LONGEST, 2 * pause)
            else:
                self.joined(name)
                return source

    def waits(self, seconds: float, wanted: Callable[[], bool]) -> bool:
        """Waits for another attempt; returns whether there is to be one.

        Args:
            seconds: for which it is waited at most.
            wanted: whether anybody still wants the source.
        """

        def over() -> bool:
            return not self._there or not wanted()

        with self._changed:
            return not self._changed.wait_for(over, seconds)
