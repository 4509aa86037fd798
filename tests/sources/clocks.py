"""A clock that runs as far as somebody waits, and not otherwise."""

from __future__ import annotations

import threading

from stream.sources._clock import Clock


class HandClock(Clock):
    """Time passes where it is waited for, and where a test says so.

    Attributes:
        time: in seconds.
        waits: how long was waited each time.
    """

    def __init__(self, time: float = 100.0) -> None:
        self.time = time
        self.waits: list[float] = []

    def now(self) -> float:
        return self.time

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        if not stop.is_set():
            self.waits.append(seconds)
            self.time += max(0.0, seconds)
        return stop.is_set()
