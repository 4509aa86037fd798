"""Pictures that are encoded side by side, each by a thread, and come out in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from stream.system.cpu import available_cores

_MOST = 8
"""Pictures at once: of 8K each has 100 MB."""


class SideBySide:
    """Encodes pictures of footage, as many at once as there are cores, up to eight.

    A PNG of 1920x1080 takes a core 0.1 s, several times as long as all else; encoders of picture
    files use one core and let Python go on meanwhile.
    """

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: deque[tuple[Path, Future[bytes]]] = deque()
        self.most = min(_MOST, available_cores())
        """How many may be encoded while another comes."""

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, target: Path, encode: Callable[[], bytes]) -> None:
        """Begins with a picture.

        Args:
            target: where it will go.
            encode: gives the file's content.
        """
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.most, "stream-pictures")
        self._waiting.append((target, self._pool.submit(encode)))

    @property
    def first(self) -> Path:
        """Where the picture that `take` gives goes."""
        return self._waiting[0][0]

    @property
    def ready(self) -> bool:
        """Whether `take` need not wait."""
        return bool(self._waiting) and self._waiting[0][1].done()

    def take(self) -> bytes:
        """The first picture's file, once it is encoded.

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
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
