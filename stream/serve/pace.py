"""Whether a viewer can take what all are sent, or needs an encoding of its own."""

from __future__ import annotations

import time
from collections.abc import Callable

_BEHIND, _BEHIND_FOR = 0.85, 2.0
"""A browser says how much it can take; below this share of what is sent, for so many seconds, it
cannot keep up. One that keeps up says one and a half times what comes."""

_ABLE = 1.1
"""Share of what the others are sent that a viewer has to be able to take to be sent it again."""

_FIRST_PAUSE, _LONGEST_PAUSE = 10.0, 160.0
"""Seconds for which a viewer that could not keep up is left alone; twice as many each time."""


class Pace:
    """Sees by what a browser says it can take whether it keeps up.

    Args:
        now: seconds on a clock that only goes forward.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._since: float | None = None
        self._pause = _FIRST_PAUSE
        self._until = float("-inf")
        self.alone = False
        """Whether it is to have an encoding of its own."""

    def hear(self, bitrate: float, others: float | None) -> None:
        """What a browser can take, and what the others are sent.

        Args:
            bitrate: in bits per second.
            others: the same; None where there are none, whom it could slow.
        """
        now = self._now()
        if self.alone:
            if now >= self._until and (others is None or bitrate >= _ABLE * others):
                self.alone, self._since = False, None
            return
        if others is None or bitrate >= _BEHIND * others:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since >= _BEHIND_FOR:
            self.alone, self._until = True, now + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
