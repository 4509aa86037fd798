"""Pictures that are encoded side by side, each by a thread, and come out in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import cached_property
from typing import Generic, TypeVar

from stream.system.cpu import available_cores
from stream.system.workers import Workers

_MOST = 8
"""Pictures at once: of 8K each has 100 MB."""


Told = TypeVar("Told")
Made = TypeVar("Made")


class SideBySide(Generic[Told, Made]):
    """Encodes pictures of footage, as many at once as there are cores, up to eight.

    A PNG of 1920x1080 takes a core 0.04 s, a WebP without loss 0.8, and all else 0.02; encoders of
    picture files use one core and let Python go on meanwhile.
    """

    def __init__(self) -> None:
        self._pool: Workers | None = None
        self._waiting: deque[tuple[Told, Future[Made]]] = deque()

    @cached_property
    def most(self) -> int:
        """How many may be encoded while another comes; asked by who has several."""
        return min(_MOST, available_cores())

    def put(self, told: Told, encode: Callable[[], Made]) -> None:
        """Begins with a picture.

        Args:
            told: of it, such as where it will go.
            encode: makes what it is stored as.
        """
        if self._pool is None:
            self._pool = Workers(self.most, "stream-pictures")
        self._waiting.append((told, self._pool.submit(encode)))

    @property
    def first(self) -> Told:
        """What was told of the picture that `take` gives."""
        return self._waiting[0][0]

    def due(self, left: int) -> bool:
        """Whether the first is to be taken: it is encoded, or more than so many wait."""
        return len(self._waiting) > left or self._encoded()

    def _encoded(self) -> bool:
        return bool(self._waiting) and self._waiting[0][1].done()

    def take(self) -> Made:
        """What the first picture is stored as, once that is made.

        Raises:
            Exception: what was raised while it was encoded.
        """
        data = self._waiting[0][1].result()
        self._waiting.popleft()
        return data

    def close(self) -> None:
        """Ends the threads; what nobody took is forgotten."""
        self._waiting.clear()
        if self._pool is not None:
            self._pool.close()
            self._pool = None
