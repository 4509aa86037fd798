"""Threads that do what is handed over to them, also where the main thread has ended already.

`concurrent.futures` refuses work from that moment on, though the threads that a program has begun
go on until they are done. A program that begins one for each film and has nothing more to do
itself would see them all fail.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")


class _Task(NamedTuple, Generic[T]):
    future: Future[T]
    function: Callable[[], T]

    def do(self, begin: Callable[[], None] | None) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            if begin is not None:
                begin()
            result = self.function()
        except BaseException as error:  # noqa: BLE001 - who asked for it is told
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class _Shared:
    """What the threads need and whoever hands over; it outlives that."""

    def __init__(self) -> None:
        self.tasks: SimpleQueue[_Task[Any] | None] = SimpleQueue()
        self.threads: list[threading.Thread] = []
        self.idle = threading.Semaphore(0)
        self.lock = threading.Lock()
        self.closed = False

    def work(self, begin: Callable[[], None] | None) -> None:
        """What each thread does."""
        while (task := self.tasks.get()) is not None:
            task.do(begin)
            begin = None
            del task  # what it holds is not to wait for the next
            self.idle.release()

    def end(self, *, leave: bool = False) -> None:
        """Takes no more work, and has the threads end behind what they have.

        Args:
            leave: what has not begun.
        """
        with self.lock:
            self.closed = True
            while leave:
                try:
                    task = self.tasks.get_nowait()
                except Empty:
                    break
                if task is not None:
                    task.future.cancel()
            for _ in self.threads:
                self.tasks.put(None)

    def join(self) -> None:
        """Waits for the threads, but for the one that it is called in."""
        for one in self.threads:
            if one is not threading.current_thread():
                one.join()


class Workers:
    """A few threads, begun as they are needed. Any threads may hand work over.

    They end when `close` is called or nothing refers to this any more. A program that ends waits
    for what is under way.

    Args:
        count: how many there are at most.
        name: what they are called, with a number behind it.
        begin: called first in each of them.
    """

    def __init__(self, count: int, name: str, begin: Callable[[], None] | None = None) -> None:
        self._count, self._name, self._begin = count, name, begin
        self._shared = _Shared()
        _all.add(self._shared)
        weakref.finalize(self, self._shared.end).atexit = False

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Has a function called by one of them; the future has what it returns or raises.

        Raises:
            RuntimeError: they were closed.
        """
        future: Future[T] = Future()
        shared = self._shared
        with shared.lock:
            if shared.closed:
                raise RuntimeError(f"{self._name} is closed")
            shared.tasks.put(_Task(future, function))
            if not shared.idle.acquire(blocking=False) and len(shared.threads) < self._count:
                thread = threading.Thread(
                    target=shared.work,
                    args=(self._begin,),
                    name=f"{self._name}_{len(shared.threads)}",
                    daemon=True,  # else one that waits for work would keep a program from ending
                )
                shared.threads.append(thread)
                thread.start()
        return future

    def close(self, *, wait: bool = True) -> None:
        """Leaves what has not begun; safe to call twice.

        Args:
            wait: whether for what has.
        """
        self._shared.end(leave=True)
        if wait:
            self._shared.join()


_all: weakref.WeakSet[_Shared] = weakref.WeakSet()

if hasattr(os, "register_at_fork"):  # threads are in the process that began them
    os.register_at_fork(after_in_child=_all.clear)


@atexit.register
def _end_all() -> None:
    """Waits for what is under way, as a library must not come back to a Python that is no more.

    Not where the main thread goes on, as the command line does where it ends the process as it
    stands.
    """
    left = list(_all)
    for shared in left:
        shared.end(leave=True)
    if not threading.main_thread().is_alive():
        for shared in left:
            shared.join()
