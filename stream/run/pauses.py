"""Ctrl-Z: for how long the process was stopped while it ran."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_GOES_ON = getattr(signal, "SIGCONT", None)


class Pauses:
    """Counts the time in which the process was stopped, as Ctrl-Z and `kill -STOP` do it.

    That it is stopped cannot be noticed, that it goes on can: since the last tick it stood still.

    Args:
        now: seconds on a clock that only goes forward.

    Attributes:
        seconds: how long it was stopped, to about the time between two ticks.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.seconds = 0.0
        self._now = now
        self._ticked = now()

    def tick(self) -> None:
        """The process is at work."""
        self._ticked = self._now()

    def go_on(self) -> None:
        """It was stopped up to now."""
        self.seconds += self._now() - self._ticked
        self.tick()


@contextmanager
def pauses() -> Iterator[Pauses]:
    """Counts them while the block runs, if this is the main thread and the system has such.

    A handler that a program has of its own, as one that draws its terminal anew, is called too.
    """
    found = Pauses()
    before = None if _GOES_ON is None else signal.getsignal(_GOES_ON)
    ours = threading.current_thread() is threading.main_thread()
    if _GOES_ON is None or before is None or not ours:
        yield found
        return

    def handle(number: int, frame: FrameType | None) -> None:
        found.go_on()
        if callable(before):
            before(number, frame)

    signal.signal(_GOES_ON, handle)
    try:
        yield found
    finally:
        signal.signal(_GOES_ON, before)
