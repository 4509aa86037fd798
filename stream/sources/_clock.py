"""Time as sources see it, so that it can be handed in."""

from __future__ import annotations

import threading
import time


class Clock:
    """The clock of this machine, in seconds from any moment on."""

    def now(self) -> float:
        """`time.perf_counter()`, by which frames say when they were born."""
        return time.perf_counter()

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Waits so long, or until `stop` is set; returns whether it is."""
        return stop.wait(max(0.0, seconds))


MACHINE = Clock()
