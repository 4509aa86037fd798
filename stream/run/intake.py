"""Where a run takes from its source, in a thread of its own, into the queue of decoded frames."""

from __future__ import annotations

import threading
from collections.abc import Callable

from stream.frame import Frame
from stream.queues import Cancelled, Queue, WhenFull
from stream.run.figures import Fate, Figures, Job, Work
from stream.run.policy import Policy
from stream.run.schedule import Schedule
from stream.sources.base import Source, delivered


class Intake:
    """Takes everything from the source as it comes, and begins each frame's account.

    Args:
        source: of the run, which closes it.
        schedule: told of each frame before it waits for its turn.
        policy: says what a full queue does.
        figures: of the run.
        stopping: set where nothing more is to be taken.
        fail: called in the thread with the source's error.
        abort: called in the thread where the source fails before its first frame.

    Attributes:
        queue: where the schedule finds it all.
        newest: the index of the last frame that came; -1 before the first.
    """

    def __init__(
        self,
        source: Source,
        schedule: Schedule,
        policy: Policy,
        figures: Figures,
        *,
        stopping: threading.Event,
        fail: Callable[[BaseException], None],
        abort: Callable[[], None],
    ) -> None:
        self._source = source
        self._schedule = schedule
        self._figures = figures
        self._stopping = stopping
        self.queue: Queue[Work] = Queue(
            "decoded" if policy.when_full is WhenFull.BLOCK else "captured",
            max(policy.capacity, schedule.ahead),
            policy.when_full,
            droppable=lambda item: isinstance(item, Job),
        )
        self.newest = -1
        # A thread that is over lets go of these, and so of the run, which holds this.
        self._thread = threading.Thread(
            target=self._read, args=(fail, abort), name="stream-decode", daemon=True
        )

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begins to read."""
        self._thread.start()

    def join(self) -> None:
        """Waits until nothing more is taken."""
        self._thread.join()

    def cancel(self) -> None:
        """Drops what waits, and lets nothing more in."""
        self._drop(self.queue.cancel())

    def _read(self, fail: Callable[[BaseException], None], abort: Callable[[], None]) -> None:
        try:
            for item in delivered(self._source):
                if self._stopping.is_set():
                    break
                if isinstance(item, Frame):
                    job = self._figures.enter(item)
                    self.newest = item.index
                    self._schedule.enter(job)
                    self._drop(self.queue.put(job))
                else:
                    self.queue.put(item)
        except Cancelled:
            return
        except BaseException as error:  # noqa: BLE001 - carried to the caller of the run
            if not self._stopping.is_set():
                fail(error)
                if not self._figures.entered:
                    # There is nothing to write, and what is to be replaced must stay.
                    abort()
                    return
        # After an error of the source, what was decoded before it is still finished and written.
        self.queue.close()

    @staticmethod
    def _drop(items: list[Work]) -> None:
        for item in items:
            if isinstance(item, Job):
                item.settle(Fate.DROPPED)
