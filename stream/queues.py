"""The bounded, named queue between the threads of a run."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")

_MOST_KEPT = 1000
"""Items that may not be dropped (packets of sound) held at most where nobody takes them: some
twenty seconds."""

_LONGEST = 0.25 if sys.platform == "win32" else None
"""Seconds that one wait may take: Windows tells nobody of Ctrl-C who waits without an end."""


class WhenFull(StrEnum):
    """What happens to an item that comes to a full queue."""

    BLOCK = "block"
    """The producer waits: files, where no frame may be lost."""

    DROP_OLDEST = "drop oldest"
    """The oldest droppable item makes room: recordings, which may fall behind for a moment."""

    LATEST = "latest"
    """Every droppable item makes room: displays, where only now counts."""


class Cancelled(Exception):  # noqa: N818 - not an error: the run was told to stop
    """Raised to a thread that puts to or takes from a queue that was cancelled."""


class Closed(Exception):  # noqa: N818 - the end, not an error
    """Raised to who takes from a queue that was closed and is empty."""


class Queue(Generic[T]):
    """A bounded queue for any number of producers and one consumer.

    End of stream and cancellation travel through it: after `close` what it holds is still taken,
    then the consumer gets `Closed` (iteration ends); after `cancel` both sides get `Cancelled`.

    Args:
        name: for people, in the report.
        capacity: how many items it holds, at least 1; of items that may not be dropped a queue
            that does not block holds more, up to a fixed bound.
        when_full: what happens to an item that comes when it is full.
        droppable: which items may be pushed out; all by default.
    """

    def __init__(
        self,
        name: str,
        capacity: int,
        when_full: WhenFull = WhenFull.BLOCK,
        droppable: Callable[[T], bool] = lambda item: True,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"queue {name!r} needs a capacity of at least 1, not {capacity}")
        self.name = name
        self.capacity = capacity
        self.when_full = when_full
        self.dropped = 0
        self.high_water = 0
        self._droppable = droppable
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._cancelled = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> list[T]:
        """Adds an item, waiting or pushing others out where the queue is full.

        Returns:
            What was pushed out, oldest first; the item itself where the queue was closed.

        Raises:
            Cancelled: the run was told to stop.
        """
        with self._changed:
            if self.when_full is WhenFull.BLOCK:
                while len(self._items) >= self.capacity and not (self._cancelled or self._closed):
                    self._changed.wait(_LONGEST)
            if self._cancelled:
                raise Cancelled(self.name)
            if self._closed:
                return [item]
            pushed_out = [] if self.when_full is WhenFull.BLOCK else self._make_room(item)
            self._items.append(item)
            self.dropped += len(pushed_out)
            self.high_water = max(self.high_water, len(self._items))
            self._changed.notify_all()
            return pushed_out

    def _make_room(self, item: T) -> list[T]:
        """Takes out what has to go for an item; called with the lock held."""
        if not self._droppable(item):
            return [self._items.popleft()] if len(self._items) >= _MOST_KEPT else []
        held = [one for one in self._items if self._droppable(one)]
        if len(held) < self.capacity:
            return []
        out = held if self.when_full is WhenFull.LATEST else held[: len(held) - self.capacity + 1]
        going = {id(one) for one in out}
        self._items = deque(one for one in self._items if id(one) not in going)
        return out

    def take(self, timeout: float | None = None) -> T | None:
        """The oldest item; None where none came within `timeout` seconds.

        Raises:
            Closed: nothing is left and nothing more will come.
            Cancelled: the run was told to stop; what was in the queue is let go.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._items:
                if self._cancelled:
                    raise Cancelled(self.name)
                if self._closed:
                    raise Closed(self.name)
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._changed.wait(_LONGEST if left is None else left)
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def __iter__(self) -> Iterator[T]:
        """Takes items until the queue is closed and empty.

        Raises:
            Cancelled: the run was told to stop.
        """
        while True:
            try:
                item = self.take()
            except Closed:
                return
            if item is not None:
                yield item

    def close(self, *, clear: bool = False) -> list[T]:
        """Nothing more comes; what is held can still be taken, unless `clear`.

        Returns:
            What was cleared.
        """
        with self._changed:
            self._closed = True
            cleared = list(self._items) if clear else []
            if clear:
                self._items.clear()
            self._changed.notify_all()
            return cleared

    def cancel(self) -> list[T]:
        """Wakes both sides with `Cancelled`; returns what the queue held."""
        with self._changed:
            held = list(self._items)
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()
            return held

    def figures(self) -> dict[str, str | int]:
        """What the report says of it."""
        return {
            "name": self.name,
            "capacity": self.capacity,
            "high_water": self.high_water,
            "dropped": self.dropped,
            "when_full": self.when_full.value,
        }
