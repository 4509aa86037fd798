"""A run in a thread of its own, beside others."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.run.run import Run


_OPENING = 1.0
"""Seconds that sources may still take to be opened once nobody wants them any more."""
_LOOKS = 0.1


class Aside(ABC):
    """One source of several with its run, in a thread of its own.

    Args:
        name: for people.
        thread: its thread's name.
    """

    def __init__(self, name: str, thread: str) -> None:
        self.name = name
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._live, name=thread, daemon=True)

    @property
    @abstractmethod
    def run(self) -> Run | None:
        """The run under way, if one is."""

    @abstractmethod
    def _live(self) -> None:
        """What the thread does, until `_stopping` is set or the source has ended."""

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._thread.is_alive()

    @property
    def wanted(self) -> bool:
        """Whether it runs and nobody has told it to stop."""
        return self.alive and not self._stopping.is_set()

    def start(self) -> None:
        """Opens the source and runs it, to its end or until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Takes nothing more from the source; what is under way is finished."""
        self._stopping.set()
        if (run := self.run) is not None:
            run.stop()

    def abort(self) -> None:
        """Lets go at once."""
        self._stopping.set()
        if (run := self.run) is not None:
            run.abort()

    def join(self, timeout: float | None = None) -> bool:
        """Waits for its end; returns whether it has come, as it has where it never began."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()


def end_all(several: Sequence[Aside]) -> None:
    """Stops all and waits until what is under way is finished.

    Opening cannot be ended from outside, and takes as long as a camera's driver or a server likes:
    where nothing runs yet the thread is soon left alone, and ends by itself.
    """
    for one in several:
        one.stop()
    deadline = time.monotonic() + _OPENING
    for one in several:
        while not one.join(max(_LOOKS, deadline - time.monotonic())) and one.run is not None:
            continue
