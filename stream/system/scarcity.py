"""Whether the system has no more memory or no more threads for this process.

Libraries say so in words of their own, or of something else: a decoder that gets no thread of its
own gives no picture, as if the file were damaged.
"""

from __future__ import annotations

import errno
import re
import sys
import threading

_MEMORY = (
    "the system has no more memory for this process",
    "close other programs, or raise its limit (ulimit -v, or that of a container)",
)
_THREADS = (
    "the system lets this process start no more threads",
    "close other programs, or raise the limit (ulimit -u, or --pids-limit of a container)",
)
_WORDS_OF_MEMORY = re.compile(
    r"cannot allocate memory|failed to map segment|bad_alloc|insufficient memory|"
    r"failed to allocate memory",
    re.IGNORECASE,
)
_WORDS_OF_THREADS = re.compile(r"can't (?:start|create) (?:a )?new thread", re.IGNORECASE)
_PROBES = 16
"""Threads that are tried at once; x264 starts as many on two cores, decoders fewer."""


def scarcity(error: BaseException | str) -> tuple[str, str] | None:
    """What an error has to do with a lack of memory or of threads, and what to do about it.

    Args:
        error: raised by anything, or what it says.

    Returns:
        Two parts of a sentence; None where it is about something else.
    """
    said = str(error)
    if isinstance(error, MemoryError) or _WORDS_OF_MEMORY.search(said):
        return _MEMORY
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return _MEMORY
    return _why_no_threads() if _WORDS_OF_THREADS.search(said) else None


def scarce_threads() -> tuple[str, str] | None:
    """Tries whether threads can be started; what stands in the way, and what to do about it.

    For where a library fails and does not say why.
    """
    done = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(_PROBES):
            one = threading.Thread(target=done.wait, name="stream-probe")
            one.start()
            started.append(one)
    except (RuntimeError, MemoryError):
        return _why_no_threads()
    finally:
        done.set()
        for one in started:
            one.join()
    return None


def _why_no_threads() -> tuple[str, str]:
    """Each thread needs room for its stack, so a limit of memory is one of threads as well."""
    if sys.platform != "win32":
        import resource

        if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
            return _MEMORY
    return _THREADS
