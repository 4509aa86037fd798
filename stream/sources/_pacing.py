"""Pictures that come in bursts, given out at the pace of their timestamps."""

from __future__ import annotations

import threading

from stream.sources._clock import MACHINE, Clock


class Pacer:
    """Gives pictures that come in bursts out at the pace of their timestamps.

    Args:
        stop: ends every wait.
        clock: tells the time and waits.
    """

    _LATE = 1.0
    """Seconds behind after which the source, not this machine, is taken to have stalled."""

    def __init__(self, stop: threading.Event, clock: Clock = MACHINE) -> None:
        self._stop = stop
        self._clock = clock
        self._start: float | None = None

    def wait(self, media_seconds: float, decode_seconds: float = 0.0) -> float:
        """Waits until a picture is due; returns the time of its birth.

        Args:
            media_seconds: the picture's time.
            decode_seconds: what its decoding took; it counts as time since its birth.
        """
        now = self._clock.now()
        if self._start is None or now - (self._start + media_seconds) > self._LATE:
            self._start = now - media_seconds
        due = self._start + media_seconds
        if due > now:
            self._clock.wait(self._stop, due - now)
        return max(due, now) - decode_seconds
