"""When an output that failed because of where it lies is tried again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

_ROOM, _SHARE = 64 << 20, 20
"""Bytes that must be free for another file, or this part of a small disk."""

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0
"""Seconds before it is tried again, twice as long after each time that soon failed too."""

_LASTING = 60.0
"""Seconds after which what fails has not failed soon."""

_LOOK_EVERY = 2.0
"""Seconds between two looks for room."""


def has_room(folder: Path) -> bool:
    """Whether a folder is there and its disk has room enough to begin another file."""
    try:
        disk = shutil.disk_usage(folder)
    except OSError:
        return False
    return disk.free >= min(_ROOM, disk.total // _SHARE)


class Again:
    """Knows how an output's tries went.

    Args:
        folder: that the output lies in.
        room: whether there is room for another try in a folder.
        now: seconds that only go forward.

    Attributes:
        failures: how often it failed.
    """

    def __init__(
        self,
        folder: Path,
        room: Callable[[Path], bool] = has_room,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.failures = 0
        self._folder, self._room, self._now = folder, room, now
        self._wait, self._not_before = _FIRST_WAIT, 0.0
        self._since = now()

    def begun(self) -> None:
        """It is written to from now on."""
        self._since = self._now()

    def failed(self) -> None:
        """It cannot be written to any further."""
        now = self._now()
        soon = now - self._since < _LASTING
        self._wait = min(2 * self._wait, _LONGEST_WAIT) if soon and self.failures else _FIRST_WAIT
        self._not_before = now + self._wait
        self.failures += 1

    @property
    def possible(self) -> bool:
        """Whether there is room."""
        return self._room(self._folder)

    def due(self) -> bool:
        """Whether it is time to try again, and possible; looks for that every other second."""
        now = self._now()
        if now < self._not_before:
            return False
        self._not_before = now + _LOOK_EVERY
        return self.possible
