"""Calls into libraries that nobody may wait for any more, and that nothing may be taken down under.

A library that computes cannot be ended from outside. Who is told to stop leaves it alone after a
moment; as long as it is at work, the process must end as it stands.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Calls:
    """How many are under way."""

    def __init__(self) -> None:
        self.count = 0
        self.lock = threading.Lock()


_calls = _Calls()


@contextmanager
def at_work() -> Iterator[None]:
    """While the block runs, this thread computes something that cannot be ended from outside."""
    with _calls.lock:
        _calls.count += 1
    try:
        yield
    finally:
        with _calls.lock:
            _calls.count -= 1


def somebody_works() -> bool:
    """Whether any thread does."""
    return _calls.count > 0
