"""A fleet in thought: a real ledger and driver, and workers that do nothing but take time."""

from __future__ import annotations

import heapq
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from stream.bench.figures import Figure
from stream.fleet.driver import Driver
from stream.fleet.entries import State, Wanted
from stream.fleet.ledger import Ledger
from stream.fleet.parts import Step
from stream.fleet.pool import Lost, Pool
from stream.fleet.progress import Progress
from stream.fleet.task import Done, Task

WORKERS = 4000
"""A thousand machines of four."""
_LONG = 10
"""Each so manyth file is cut, into six parts, where files are cut at all."""
_PARTS = 6
_HANDED = 12_000
"""Tasks after which it is known how quick the driver is."""


class ThoughtOf(Pool):
    """Workers that are done with a task after so many seconds of a clock that is thought of.

    The driver's own seconds count on that clock: while it writes, workers wait for it.

    Args:
        workers: how many.
        seconds: that each task takes.
        cut: whether long files are cut.
    """

    def __init__(self, workers: int, seconds: float, *, cut: bool) -> None:
        self._workers, self._seconds, self._cut = workers, seconds, cut
        self._busy: list[tuple[float, int, float, Task]] = []
        """When each ends, a number, when it began, and what it is."""
        self._order = count()
        self._now = 0.0
        self._left_at = time.perf_counter()
        self.done = 0
        self.worked = 0.0

    @property
    def now(self) -> float:
        """Seconds of the clock that is thought of."""
        return self._now + time.perf_counter() - self._left_at

    @property
    def busy_share(self) -> float:
        """Of the workers' time that in which they had something to do, 0..1."""
        now = self.now
        under_way = sum(min(now, end) - begun for end, _, begun, _ in self._busy)
        return (self.worked + under_way) / (self._workers * now)

    def free(self, tasks: int) -> int:
        """How many have nothing to do."""
        return self._workers - len(self._busy)

    def submit(self, task: Task) -> None:
        """Gives one something to do."""
        # No two films are of one length.
        takes = self._seconds * (0.5 + task.number * 0.618 % 1)
        now = self.now
        heapq.heappush(self._busy, (now + takes, next(self._order), now, task))

    def wait(self, timeout: float) -> list[Done | Lost]:
        """All that has ended by now; where nothing has, time goes on until something does."""
        now = self.now
        if self._busy and self._busy[0][0] > now:
            now = min(self._busy[0][0], now + timeout)
        ended: list[Done | Lost] = []
        while self._busy and self._busy[0][0] <= now:
            end, _, begun, task = heapq.heappop(self._busy)
            self.worked += end - begun
            self.done += 1
            ended.append(self._done(task))
        self._now, self._left_at = now, time.perf_counter()
        return ended

    def _done(self, task: Task) -> Done:
        cut = self._cut and task.number % _LONG == 0
        begins = tuple(range(0, 1000 * _PARTS, 1000)) if cut and task.key is None else ()
        frames = 0 if task.key is not None and task.key.step == Step.JOIN else 1500
        return Done(
            task.number, f"node-{task.serial % 1000}", self._seconds, frames=frames,
            key=task.key, begins=begins, serial=task.serial,
        )  # fmt: skip

    def workers(self) -> dict[str, int]:
        """A thousand machines."""
        return {f"node-{place}": self._workers // 1000 for place in range(1000)}

    def close(self) -> None:
        """Nothing is to be ended."""


def _memory() -> float:
    """MiB of memory that this process has had at most."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset / 2**20)
    else:
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / 2**20 if sys.platform == "darwin" else most / 2**10


def measure(folder: Path, files: int) -> Iterator[Figure]:
    """What the driver of so many files takes: memory, disk, and how many workers it keeps busy.

    Args:
        folder: for the ledger; on the disk where one would lie.
        files: how many.
    """
    path = folder / "ledger.sqlite"
    ledger = Ledger(path)
    try:
        yield from _filled(ledger, files)
        for seconds, cut in ((60.0, False), (10.0, False), (10.0, True)):
            yield _driven(ledger, seconds, cut=cut)
    finally:
        ledger.close()
    size = sum(one.stat().st_size for one in folder.glob("ledger.sqlite*"))
    yield Figure("ledger on the disk", size / 2**20, "MiB", detail=f"{files:,} files")


def _filled(ledger: Ledger, files: int) -> Iterator[Figure]:
    before = _memory()
    wanted = [
        Wanted(
            f"/archive/camera-{number // 1000:04}/2026-11-26/clip-{number:07}.mp4",
            (f"/masked/camera-{number // 1000:04}/2026-11-26/clip-{number:07}.mp4",),
            f"{number}:1795000000.0", "0123456789abcdef",
        )
        for number in range(files)
    ]  # fmt: skip
    begun = time.perf_counter()
    ledger.want(wanted)
    yield Figure("ledger filled", time.perf_counter() - begun, "s", detail=f"{files:,} files")
    begun = time.perf_counter()
    ledger.want(wanted)
    numbers = [one.number for one in ledger.each() if one.state != State.DONE]
    took = time.perf_counter() - begun
    yield Figure("ledger read by a second run", took, "s", detail=f"{len(numbers):,} files")
    yield Figure("driver's memory at its start", _memory() - before, "MiB", detail="at most")


def _driven(ledger: Ledger, seconds: float, *, cut: bool) -> Figure:
    numbers = [one.number for one in ledger.each(State.WAITING)]
    pool = ThoughtOf(WORKERS, seconds, cut=cut)

    def told(progress: Progress) -> None:
        if pool.done >= _HANDED:
            driver.abort()

    driver = Driver(ledger, pool, retries=0, split=60.0 if cut else None, on_progress=told)
    begun, used = time.perf_counter(), time.process_time()
    driver.run(numbers)
    took, used = time.perf_counter() - begun, time.process_time() - used
    how = f"one file of {_LONG} in {_PARTS} parts" if cut else "files at once"
    return Figure(
        f"workers kept busy, tasks of {seconds:g} s",
        100 * pool.busy_share,
        "%",
        detail=f"{WORKERS:,} workers, {how}; {pool.done / took:,.0f} tasks for each second of the "
        f"driver's, {1000 * used / pool.done:.2f} ms of the processor each",
    )
