"""How much memory a part of the program holds, whatever else the process does meanwhile."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_DEEP = 8
"""Calls noted of each piece of memory, as what a library makes for a module is the module's."""


@contextmanager
def memory_held(by: str) -> Iterator[Callable[[], int]]:
    """Gives a function that says how many bytes are held which were asked for in the block.

    Args:
        by: only what was asked for by calls from modules whose path has this in it: threads that
            libraries keep ask for memory too, at any time.
    """
    names: dict[str, bool] = {}  # looked at once, as `tracemalloc.Filter` takes milliseconds

    def is_ours(name: str) -> bool:
        if name not in names:
            names[name] = by in name
        return names[name]

    def held() -> int:
        return sum(
            one.size
            for one in tracemalloc.take_snapshot().traces
            if any(is_ours(frame.filename) for frame in one.traceback)
        )

    tracemalloc.start(_DEEP)
    try:
        yield held
    finally:
        tracemalloc.stop()
