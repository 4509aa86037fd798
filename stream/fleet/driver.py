"""The driver: hands files to workers, writes down what came of each, and goes on."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stream.errors import StreamError
from stream.fleet.ledger import Entry, Ledger, State
from stream.fleet.places import remove_leftovers
from stream.fleet.work import Done, Task

_WAIT = 0.5
"""Seconds that workers are waited for at a time."""

MOST_LOST = 5
"""So often a worker may be lost with a file before that counts as the file's own fault."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker that was lost with a task.

    Attributes:
        number: the task's.
        error: what is known of it, in a sentence.
    """

    number: int
    error: str


class Pool(ABC):
    """Workers that tasks are given to."""

    @abstractmethod
    def free(self) -> int:
        """How many tasks would begin at once."""

    @abstractmethod
    def submit(self, task: Task) -> None:
        """Gives a task to a free worker."""

    @abstractmethod
    def wait(self, timeout: float) -> list[Done | Lost]:
        """What has ended within so many seconds; the workers of it are free, or gone.

        Raises:
            StreamError: no worker can ever do anything: the model cannot be loaded.
        """

    @abstractmethod
    def workers(self) -> dict[str, int]:
        """How many workers there are on each machine."""

    @abstractmethod
    def close(self) -> None:
        """Ends the workers, in the middle of their tasks if need be."""


@dataclass(slots=True)
class Progress:
    """How far a fleet is.

    Attributes:
        total: files.
        done: of them, those that an earlier driver did among them.
        failed: given up.
        running: on their way.
        frames: done by this driver.
        seconds: since it began.
        left: seconds that the rest will take, None before that can be said.
        workers: on each machine.
    """

    total: int = 0
    done: int = 0
    failed: int = 0
    running: int = 0
    frames: int = 0
    seconds: float = 0.0
    left: float | None = None
    workers: dict[str, int] = field(default_factory=dict)

    @property
    def fps(self) -> float:
        """Frames a second, over all machines."""
        return self.frames / self.seconds if self.seconds else 0.0


class Driver:
    """Does what a ledger says is waiting.

    Args:
        ledger: of the files.
        pool: of workers.
        retries: how often a file that fails is tried again.
        on_progress: is told how far it is, about twice a second.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        ledger: Ledger,
        pool: Pool,
        *,
        retries: int,
        on_progress: Callable[[Progress], None] = lambda progress: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._pool = pool
        self._retries = retries
        self._on_progress = on_progress
        self._clock = clock
        self._running: dict[int, Entry] = {}
        self._stopping = threading.Event()
        self._at_once = threading.Event()
        self.interrupted = False

    def stop(self) -> None:
        """Hands out nothing more; what is on its way is finished."""
        self._stopping.set()

    def abort(self) -> None:
        """Leaves at once; what is on its way waits for the next driver."""
        self._stopping.set()
        self._at_once.set()

    def run(self, numbers: Sequence[int]) -> Progress:
        """Does those of the files that wait, and returns how it ended.

        Args:
            numbers: of the files that belong to this run; others of the ledger are left alone.

        Raises:
            StreamError: the ledger cannot be written, or no worker can work.
        """
        asked = set(numbers)
        entries = [one for one in self._ledger.entries() if one.number in asked]
        waiting = deque(one for one in entries if one.state == State.WAITING)
        progress = Progress(len(entries))
        progress.done = sum(one.state == State.DONE for one in entries)
        begun, before = self._clock(), progress.done
        for entry in waiting:
            for target in entry.wanted.targets:
                remove_leftovers(target, entry.number)
        while waiting or self._running:
            if self._at_once.is_set() or (self._stopping.is_set() and not self._running):
                break
            while waiting and not self._stopping.is_set() and self._pool.free() > 0:
                self._begin(waiting.popleft())
            for ended in self._pool.wait(_WAIT):
                self._take(ended, waiting, progress)
            progress.running = len(self._running)
            progress.seconds = self._clock() - begun
            here = progress.done - before
            left = len(waiting) + len(self._running)
            progress.left = progress.seconds / here * left if here else None
            progress.workers = self._pool.workers()
            self._on_progress(progress)
        self.interrupted = bool(waiting or self._running)
        return progress

    def _begin(self, entry: Entry) -> None:
        # First the ledger: a file that is on its way without its knowing would be done twice.
        self._ledger.begin(entry.number)
        self._running[entry.number] = entry
        self._pool.submit(Task(entry.number, entry.wanted.source, entry.wanted.targets))

    def _take(self, ended: Done | Lost, waiting: deque[Entry], progress: Progress) -> None:
        entry = self._running.pop(ended.number, None)
        if entry is None:
            return
        if isinstance(ended, Done) and ended.error is None:
            self._ledger.done(
                ended.number, seconds=ended.seconds, frames=ended.frames, node=ended.node
            )
            progress.done += 1
            progress.frames += ended.frames
            return
        if isinstance(ended, Done):
            last = entry.tries >= self._retries
            self._ledger.failed(
                ended.number, ended.error or "", seconds=ended.seconds, node=ended.node, last=last
            )
        else:
            last = entry.lost + 1 >= MOST_LOST
            self._ledger.lost(ended.number, ended.error, last=last)
            for target in entry.wanted.targets:
                remove_leftovers(target, entry.number)
        if last:
            progress.failed += 1
            return
        again = self._ledger.entry(ended.number)
        # What was lost comes first; what failed by itself waits for the others.
        if isinstance(ended, Lost):
            waiting.appendleft(again)
        else:
            waiting.append(again)


def nothing_works(reason: str) -> StreamError:
    """The error for a fleet of which no worker can do anything."""
    return StreamError(f"no worker can begin: {reason}")
