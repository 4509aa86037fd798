"""Memory that is free goes back to the system, where the C library would keep it."""

from __future__ import annotations

import ctypes
import gc
from functools import cache

_ARENAS = 2
_M_ARENA_MAX = -8
"""From glibc's <malloc.h>."""


@cache
def _library() -> ctypes.CDLL | None:
    """The C library, where it is glibc; others keep less and have no such calls."""
    try:
        found = ctypes.CDLL(None)
    except (OSError, TypeError):
        return None
    return found if hasattr(found, "malloc_trim") and hasattr(found, "mallopt") else None


def share_arenas() -> bool:
    """Lets threads that begin later share what is free; returns whether that can be said here.

    Each thread has an arena of its own otherwise, up to eight for each core. Viewers bring threads
    that come and go, and what they let go of stays in arenas nobody uses: 36 MiB in two minutes
    of viewers who come and go, where with two arenas it was 2.
    """
    library = _library()
    return library is not None and bool(library.mallopt(_M_ARENA_MAX, _ARENAS))


def keep_what_is_loaded() -> None:
    """Has nothing that is there now looked through for garbage, which would take 80 ms."""
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Gives whole pages that are free back to the system, also of what nobody can reach.

    Connections of viewers who left are rings, with buffers of which Python's collector knows
    nothing: by itself it came after ten minutes of viewers, and 90 MiB.
    """
    gc.collect()
    library = _library()
    if library is not None:
        library.malloc_trim(0)
