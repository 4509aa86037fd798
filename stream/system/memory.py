"""How much memory there is, and what this process takes of it."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

_OURS = Path("/proc/self/statm")


def resident() -> int:
    """Bytes of this process that are in memory now; 0 where the system does not say."""
    if sys.platform == "linux":
        # It says so in a line; loading psutil takes twenty milliseconds of every start.
        with contextlib.suppress(OSError):
            pages = _OURS.read_text(encoding="ascii").split()[1]
            return int(pages) * os.sysconf("SC_PAGE_SIZE")
    import psutil

    try:
        return psutil.Process().memory_info().rss
    except (OSError, psutil.Error):  # where /proc is closed
        return 0


def installed() -> tuple[int, int] | None:
    """Bytes that are free and that there are; None where the system does not say."""
    import psutil

    try:
        found = psutil.virtual_memory()
    except (OSError, psutil.Error):
        return None
    return found.available, found.total
