"""The bounded, named queues between the threads of a run."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")


class WhenFull(Enum):
    """What happens to an item that comes to a full channel."""

    WAIT = "wait"
    """The producer waits: files, where no frame may be lost."""

    REPLACE_OLDEST = "replace oldest"
    """The oldest droppable item makes room: live sources, where only now counts."""


class Cancelled(Exception):  # noqa: N818 - not an error: the run was told to stop
    """Raised to a thread that puts to or gets from a channel that was cancelled."""


class Channel(Generic[T]):
    """A bounded queue for one producer and one consumer.

    End of stream and cancellation travel through it: iteration ends when the producer has
    `close`d it and everything was taken; after `cancel` both sides get `Cancelled`.

    Args:
        name: for people, in the report.
        capacity: how many items it holds, at least 1.
        when_full: what happens to an item that comes when it is full.
        droppable: which items may be dropped by `REPLACE_OLDEST`; all by default. Where nothing in
            the channel is droppable, the item is let in above capacity.
    """

    def __init__(
        self,
        name: str,
        capacity: int,
        when_full: WhenFull = WhenFull.WAIT,
        droppable: Callable[[T], bool] = lambda item: True,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"channel {name!r} needs a capacity of at least 1, not {capacity}")
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

    def put(self, item: T) -> None:
        """Adds an item, waiting or dropping the oldest where the channel is full.

        Raises:
            Cancelled: the run was told to stop.
        """
        with self._changed:
            if self.when_full is WhenFull.WAIT:
                while len(self._items) >= self.capacity and not self._cancelled:
                    self._changed.wait()
            elif len(self._items) >= self.capacity:
                self._drop_oldest()
            if self._cancelled:
                raise Cancelled(self.name)
            if self._closed:
                raise RuntimeError(f"channel {self.name!r} was closed by its producer")
            self._items.append(item)
            self.high_water = max(self.high_water, len(self._items))
            self._changed.notify_all()

    def _drop_oldest(self) -> None:
        for index, item in enumerate(self._items):
            if self._droppable(item):
                del self._items[index]
                self.dropped += 1
                return

    def __iter__(self) -> Iterator[T]:
        """Takes items until the producer has closed the channel.

        Raises:
            Cancelled: the run was told to stop; what was in the channel is let go.
        """
        while True:
            with self._changed:
                while not self._items and not self._closed and not self._cancelled:
                    self._changed.wait()
                if self._cancelled:
                    raise Cancelled(self.name)
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item

    def close(self) -> None:
        """The producer's word that nothing more comes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def cancel(self) -> None:
        """Wakes both sides with `Cancelled` and lets go of what the channel holds."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()
