"""How long a thread may keep the interpreter from others, while several live sources run."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SECONDS = 0.0005
"""Python's own is ten times that. A frame's way leaves the interpreter dozens of times, for
OpenCV, PyAV or a queue, and waits for so long at most for each other thread when it comes back."""

_lock = threading.Lock()
_before: list[float] = []
"""What it was when each of those came who want it short now."""


@contextmanager
def quick_switching(sources: int) -> Iterator[None]:
    """Threads give way to each other sooner meanwhile, in the whole process; of one source not.

    May be asked for from several threads; the last that leaves sets it back. An interval that is
    shorter already stays as it is.

    Args:
        sources: how many run.
    """
    if sources < 2:
        yield
        return
    with _lock:
        _before.append(sys.getswitchinterval())
        sys.setswitchinterval(min(_before[-1], _SECONDS))
    try:
        yield
    finally:
        with _lock:
            before = _before.pop()
            if not _before:
                sys.setswitchinterval(before)
