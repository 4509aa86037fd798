"""Which outputs share their painting: a branch for each set of layers, made when it is needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stream.frame import Frame
from stream.queues import WhenFull
from stream.run.branch import Branch, nobody
from stream.run.output import Output
from stream.run.policy import Policy
from stream.timing import Clock

if TYPE_CHECKING:
    from stream.compositing.painter import Painter


_UNPAINTED = 8
"""Frames that may wait where they are only passed on: that takes no time but what the machine takes
to come to it, so that they are none of a display that lags."""


class Branches:
    """A run's branches, from any thread.

    Args:
        lines: gives the lines of the timing panel for a frame.
        clock: where painting's seconds are booked.
        policy: the run's.
        lock: the run's. An output that ends asks the run for it, so that with one of their own for
            the branches two threads could each hold what the other waits for.
    """

    def __init__(
        self,
        lines: Callable[[Frame], Sequence[str]],
        clock: Clock,
        policy: Policy,
        lock: threading.RLock,
    ) -> None:
        self._lines = lines
        self._clock = clock
        self._policy = policy
        self._lock = lock
        self._branches: list[Branch] = []
        self._on_error: Callable[[BaseException], None] = nobody
        self._started = self._closed = False
        self.undoubted = -1
        """Up to which index frames were looked at while nobody covered anything."""

    @property
    def all(self) -> list[Branch]:
        """All that there were, those without an output included."""
        with self._lock:
            return list(self._branches)

    @property
    def in_use(self) -> list[Branch]:
        """Those that somebody gets frames from."""
        return [one for one in self.all if one.outputs]

    @property
    def covers(self) -> bool:
        """Whether any of them paints layers that hide what they cover."""
        painters = [one.painter for one in self.all]
        return any(one is not None and one.covers for one in painters)

    def suiting(self, output: Output) -> Branch:
        """The branch whose painting suits an output, a new one where there is none.

        Where no frame will come any more, it finishes what is added to it.
        """
        with self._lock:
            for one in self._branches:
                if one.key == output.key:
                    return one
            passes = output.painter is None and self._policy.when_full is not WhenFull.BLOCK
            branch = Branch(
                output.painter,
                self._lines,
                self._clock,
                when_full=self._policy.when_full,
                capacity=_UNPAINTED if passes else self._policy.capacity,
                undoubted=lambda: self.undoubted,
            )
            self._branches.append(branch)
            if self._started:
                branch.start(self._on_error)
            if self._closed:
                branch.close()
            return branch

    def remove(self, output: Output) -> None:
        """An output gets no more frames."""
        for branch in self.all:
            branch.remove(output)

    def repaint(self, output: Output, painter: Painter, *, alone: bool) -> None:
        """Changes an output's layers; `alone` leaves those that share its painting as they are."""
        with self._lock:
            for branch in self.all:
                if output not in branch.outputs:
                    continue
                if not alone or len(branch.outputs) == 1:
                    branch.repaint(painter)
                elif branch.remove(output):
                    output.painter = painter
                    self.suiting(output).add(output)

    def start(self, on_error: Callable[[BaseException], None]) -> None:
        """Begins to paint; `on_error` is told what painting raised, in the branch's thread."""
        with self._lock:
            self._on_error, self._started = on_error, True
            for branch in self._branches:
                branch.start(on_error)

    def close(self) -> None:
        """Nothing more comes: what waits is painted, then the outputs are closed."""
        with self._lock:
            self._closed = True
        for branch in self.all:
            branch.close()

    def cancel(self) -> None:
        """They let go at once."""
        with self._lock:
            self._closed = True
        for branch in self.all:
            branch.cancel()

    def join(self) -> None:
        """Waits for their threads."""
        for branch in self.all:
            branch.join()
        # They hold their run no longer, which else waits with its source for Python's collector.
        self._on_error = nobody
