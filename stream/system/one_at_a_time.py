"""Taking from one generator in several threads."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

Taken = TypeVar("Taken")


class OneAtATime(Iterator[Taken], Generic[Taken]):
    """What a generator gives, each to one of the threads that ask for it.

    A generator alone refuses a second thread while the first one waits for it.

    Args:
        made: the generator.
    """

    def __init__(self, made: Generator[Taken, None, None]) -> None:
        self._made = made
        self._lock = threading.Lock()

    def __next__(self) -> Taken:
        with self._lock:
            return next(self._made)

    def close(self) -> None:
        """Ends the generator where it is, once no other thread waits for it."""
        with self._lock:
            self._made.close()
