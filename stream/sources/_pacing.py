"""Pictures that come in bursts, given out at the pace of their timestamps."""

from __future__ import annotations

import threading

from stream.sources._clock import MACHINE, Clock


class Pacer:
    """Gives pictures that come in bursts out at the pace of their timestamps.

    Args:
        stop: ends every wait.
        clock: tells the time and waits.
        outages: whether time that is lost between two pictures was lost on the way, and is over
            when the second one comes; of a recording it is a picture that stands.
    """

    _LATE = 1.0
    """Seconds behind after which the source, not this machine, is taken to have stalled."""

    _GAP, _LONGER = 5.0, 4.0
    """What is longer than so many usual steps and a second, or than so many seconds before a usual
    one is known, is an outage on the time line, which is over when the next picture comes."""
    _WEIGHT = 0.2

    def __init__(
        self, stop: threading.Event, clock: Clock = MACHINE, *, outages: bool = False
    ) -> None:
        self._stop, self._outages = stop, outages
        self._clock = clock
        self._start: float | None = None
        self._connection = 0
        self._before: float | None = None
        self._usual: float | None = None

    def wait(self, media_seconds: float, decode_seconds: float = 0.0, connection: int = 0) -> float:
        """Waits until a picture is due; returns the time of its birth.

        Args:
            media_seconds: the picture's time.
            decode_seconds: what its decoding took; it counts as time since its birth.
            connection: by which it came; the first one of another is due at once.
        """
        now = self._clock.now()
        gap = self._is_gap(media_seconds) and self._outages
        another, self._connection = connection != self._connection, connection
        if (
            gap
            or another
            or self._start is None
            or now - (self._start + media_seconds) > self._LATE
        ):
            self._start = now - media_seconds
        due = self._start + media_seconds
        if due > now:
            self._clock.wait(self._stop, due - now)
        return max(due, now) - decode_seconds

    def _is_gap(self, media_seconds: float) -> bool:
        """Whether time was lost before a picture; learns how far they are apart."""
        before, self._before = self._before, media_seconds
        if before is None:
            return False
        step, usual = media_seconds - before, self._usual
        self._usual = step if usual is None else usual + self._WEIGHT * (step - usual)
        if usual is None:
            return step > self._GAP
        return step > max(self._LATE, self._LONGER * usual)


def is_hls(container: str) -> bool:
    """Whether FFmpeg's name of a format is that of playlists."""
    return "hls" in container.split(",")


def longest_still(container: str) -> float:
    """Seconds for which a picture may stand in a film from a server; longer is another clock.

    Args:
        container: FFmpeg's name of the format.
    """
    return 10.0 if is_hls(container) or container.startswith("mpeg") else 3600.0
