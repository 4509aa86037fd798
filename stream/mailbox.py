"""A bounded hand-over between a thread that never waits and one that takes the newest."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Closed(Exception):  # noqa: N818 - the end, not an error
    """Raised to who takes from a mailbox that was closed and is empty."""


class Mailbox(Generic[T]):
    """Holds up to `capacity` items; a further one pushes out the oldest that may be dropped.

    Unlike a `Channel` it never makes the giver wait, and the taker can stop waiting: what live
    runs need, where neither side may hold up the other.

    Args:
        name: for people, in the report.
        capacity: how many items it holds, at least 1.
        droppable: which items may be pushed out; all by default. An item that may not be is let
            in above capacity, up to four times; then the oldest goes all the same.
    """

    def __init__(
        self, name: str, capacity: int, droppable: Callable[[T], bool] = lambda item: True
    ) -> None:
        if capacity < 1:
            raise ValueError(f"mailbox {name!r} needs a capacity of at least 1, not {capacity}")
        self.name = name
        self.capacity = capacity
        self.dropped = 0
        self.high_water = 0
        self._droppable = droppable
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> bool:
        """Gives an item; returns whether it was taken in (False once closed)."""
        with self._changed:
            if self._closed:
                return False
            if len(self._items) >= self.capacity:
                self._drop_one()
            self._items.append(item)
            self.high_water = max(self.high_water, len(self._items))
            self._changed.notify_all()
            return True

    def put_when_room(self, item: T, stop: threading.Event) -> bool:
        """Gives an item, waiting for room; returns whether it was taken in.

        For what may not be dropped; `stop` or closing ends the wait.
        """
        with self._changed:
            while len(self._items) >= self.capacity and not self._closed:
                if stop.is_set():
                    return False
                self._changed.wait(0.1)
            if self._closed:
                return False
            self._items.append(item)
            self.high_water = max(self.high_water, len(self._items))
            self._changed.notify_all()
            return True

    def _drop_one(self) -> None:
        for index, item in enumerate(self._items):
            if self._droppable(item):
                del self._items[index]
                self.dropped += 1
                return
        if len(self._items) >= 4 * self.capacity:
            self._items.popleft()
            self.dropped += 1

    def take(self, timeout: float | None = None) -> T | None:
        """The oldest item; None where none came within `timeout` seconds.

        Raises:
            Closed: nothing is left and nothing more will come.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._items:
                if self._closed:
                    raise Closed(self.name)
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._changed.wait(left)
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self, *, clear: bool = False) -> int:
        """Nothing more comes; what is held can still be taken, unless `clear`.

        Returns:
            How many items were cleared.
        """
        with self._changed:
            self._closed = True
            cleared = len(self._items) if clear else 0
            if clear:
                self._items.clear()
            self._changed.notify_all()
            return cleared
