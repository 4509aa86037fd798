"""The runner: one source, a schedule, any number of outputs, each in threads of its own.

What differs between a file and a camera are values (`Policy`, the schedule, the outputs' queues).
Frames, copied packets, the end of the stream, errors and cancellation travel the same way: from the
source through the schedule and each branch's painting to the outputs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from stream.frame import Frame, VideoInfo
from stream.queues import Cancelled, WhenFull
from stream.run.branches import Branches
from stream.run.figures import Counts, Fate, Figures, Job, Outcome, Work
from stream.run.fit import info_of
from stream.run.intake import Intake
from stream.run.notices import NO_PICTURE, Notices, stands_still
from stream.run.output import Output
from stream.run.panel import PanelFigures
from stream.run.policy import OFFLINE, Policy
from stream.run.schedule import Schedule
from stream.sources.base import Source
from stream.timing import Clock

if TYPE_CHECKING:
    from stream.compositing.painter import Painter

logger = logging.getLogger(__name__)

OnFrame = Callable[[Frame], None]
"""A user's own function, called for each frame once it has its instances, before painting."""


class Run:
    """Takes frames from a source, gives them their instances, and hands them to outputs.

    Args:
        source: opened; the run closes it.
        schedule: gives the frames their instances; the run closes it.
        outputs: where frames go; more can join and leave while the run goes on.
        policy: `OFFLINE` or `LIVE`.
        clock: where durations are booked.
        provider: where the model runs, for the timing panel.
        on_frame: called for each frame in order, in one thread, once it has its instances.
        unseen: whether frames are inferred too while no output wants them; by default where there
            is an `on_frame`.
        now: seconds on a clock that only goes forward.
    """

    def __init__(
        self,
        source: Source,
        schedule: Schedule,
        outputs: Sequence[Output],
        *,
        policy: Policy = OFFLINE,
        clock: Clock | None = None,
        provider: str = "",
        on_frame: OnFrame | None = None,
        unseen: bool | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.source = source
        self.clock = Clock() if clock is None else clock
        self.remarks: list[str] = []
        self.info: VideoInfo = source.info
        """Of the frames as they come now; their size may have changed since the first."""
        self.given_up = False
        """Whether it was left with threads that hang: nothing of it may be waited for."""
        self._schedule = schedule
        self._policy = policy
        self._on_frame = on_frame
        self._unseen = on_frame is not None if unseen is None else unseen
        self._now = now
        self._figures = Figures(self.clock, policy.latency, now)
        self._panel = PanelFigures(
            self.clock,
            provider,
            policy.latency,
            None if policy.when_full is WhenFull.BLOCK else lambda: self.counts.dropped,
            now,
        )
        self._lock = threading.RLock()
        self._branches = Branches(self._panel.lines, self.clock, policy, self._lock)
        self._outputs: list[Output] = []
        self._error: BaseException | None = None
        self._stopping = threading.Event()
        self._aborting = threading.Event()
        self._draining = threading.Event()
        self._started = self._ended = self._enough = False
        self._wake = threading.Event()
        self._notices = Notices(now)
        self._moved = now()
        self._hides = False
        self._intake = Intake(
            source,
            schedule,
            policy,
            self._figures,
            stopping=self._stopping,
            fail=self._fail,
            abort=self.abort,
        )
        self._settler = threading.Thread(target=self._settle, name="stream-settle", daemon=True)
        schedule.watch(lambda: self.counts, lambda: self.wanted, self._stopping.is_set)
        for output in outputs:
            self.add(output)

    # What it says of itself.

    @property
    def counts(self) -> Counts:
        """What became of the frames so far."""
        lost = int(getattr(self.source, "dropped", 0))
        return self._figures.counts(self.source.corrupt, lost)

    @property
    def reconnects(self) -> int:
        """How often the source came back."""
        return int(getattr(self.source, "reconnects", 0))

    @property
    def wanted(self) -> bool:
        """Whether anybody wants to know what is in the frames at this moment."""
        return self._unseen or any(output.alive and output.sink.wanted for output in self.outputs)

    @property
    def still_for(self) -> float:
        """Seconds since the last frame went through it."""
        return self._now() - self._moved

    @property
    def outputs(self) -> list[Output]:
        """All outputs that there were, those that have left included."""
        with self._lock:
            return list(self._outputs)

    @property
    def all_remarks(self) -> list[str]:
        """What is to be said about source, schedule and outputs, a sentence each."""
        found = [*self.source.remarks, *self._schedule.remarks]
        for output in self.outputs:
            found += output.remarks
        return list(dict.fromkeys([*found, *self.remarks]))  # what two say alike is said once

    def outcome(self) -> Outcome:
        """How things stand, and at the end how the run ended."""
        with self._lock:
            queues = [self._intake.queue.figures()]
            queues += [branch.queue.figures() for branch in self._branches.all]
            queues += [output.queue.figures() for output in self._outputs]
            error = self._error
            unsaved = min((output.figures.unsaved for output in self._outputs), default=0)
        interrupted = self._stopping.is_set() and not self._enough
        counts = self.counts
        if unsaved:
            written, dropped = counts.written - unsaved, counts.dropped + unsaved
            counts = replace(counts, written=written, dropped=dropped, unsaved=unsaved)
        return self._figures.outcome(counts, interrupted=interrupted, error=error, queues=queues)

    # What can be done to it, from any thread.

    def add(self, output: Output) -> None:
        """One more output: it gets the frames from here on."""
        with self._lock:
            several = sum(not one.sink.shows for one in self._outputs)
            if several and not output.sink.shows:
                output.stage = f"encode {output.name}"
            branch = self._branches.suiting(output)
            self._outputs.append(output)
            self._look_at_layers()
            if self._started:
                output.start(self.clock, self._left)
            branch.add(output)
            if self._aborting.is_set():
                output.abort()

    def remove(self, output: Output) -> None:
        """An output leaves: it writes what waits for it and finishes, in its own time."""
        self._branches.remove(output)
        output.close()

    def repaint(self, output: Output, painter: Painter, *, alone: bool = False) -> None:
        """Changes an output's layers.

        Args:
            output: one of the run's.
            painter: of the new layers.
            alone: for this output only; else those that share its painting go with it.
        """
        with self._lock:
            # What is to be covered must be known before it is painted; then some may need it less.
            self._look_at_layers(coming=painter)
            self._branches.repaint(output, painter, alone=alone)
            self._look_at_layers()

    def _look_at_layers(self, coming: Painter | None = None) -> None:
        hides = self._branches.covers or (coming is not None and coming.covers)
        noted = any(output.sink.wants_unsure for output in self._outputs)
        self._schedule.cover(wanted=hides or noted, hides=hides)
        if hides and not self._hides:
            self._branches.undoubted = self._intake.newest
        self._hides = hides

    def stop(self) -> None:
        """Takes nothing more from the source; what is under way is finished and written."""
        self._stopping.set()
        self.source.close()
        self._wake.set()

    def abort(self) -> None:
        """Stops at once; what was already saved stays playable."""
        self._aborting.set()
        self.stop()
        self._intake.cancel()
        self._branches.cancel()
        for output in self.outputs:
            if output.alive:
                output.abort()
        self._wake.set()

    def say(self, text: str) -> None:
        """Shows a line to who watches, for a moment."""
        self._notices.say(text)

    # Its course.

    def run(self, on_tick: Callable[[], None] | None = None, tick: float = 0.1) -> Outcome:
        """Runs to the end of the source, or until it is stopped; returns how it ended.

        Windows live in the calling thread, which must then be the process's main one.

        Args:
            on_tick: called about every `tick` seconds in the calling thread, for progress.
            tick: seconds.
        """
        self.start()
        ticked = self._now()
        try:
            while not self._done():
                shown = [one for one in self.outputs if one.sink.on_main_thread and one.alive]
                for output in shown:
                    output.step(0.01)
                if not shown:
                    self._wake.wait(tick)
                    self._wake.clear()
                self._notices.show(self.outputs, self.still_for, self._why_still())
                now = self._now()
                if on_tick is not None and now - ticked >= tick:
                    ticked = now
                    on_tick()
        except BaseException as error:
            # Who presses Ctrl-C once more when it was aborted already waits for nothing that hangs.
            self.given_up = self._aborting.is_set() and isinstance(error, KeyboardInterrupt)
            self.abort()
            if not self.given_up:
                self.finish()
            raise
        self.finish()
        return self.outcome()

    def _why_still(self) -> Sequence[str]:
        """What the source says of itself, or what is seen of one that falls silent."""
        said: Sequence[str] = getattr(self.source, "notes", ())
        if said or self._policy.when_full is WhenFull.BLOCK or not self._figures.entered:
            return said
        over = self._stopping.is_set() or not self._intake.alive
        still = not over and stands_still(self.still_for, self.clock.rate)
        return (NO_PICTURE,) if still else ()

    def start(self) -> None:
        """Begins: every thread but the caller's."""
        with self._lock:
            self._started = True
            self._figures.begin()
            for output in self._outputs:
                output.start(self.clock, self._left)
            self._branches.start(self._fail)
        self._intake.start()
        self._settler.start()

    def finish(self) -> None:
        """Waits for every thread; what was taken from the source is finished first."""
        self.source.close()
        self._intake.join()
        self._settler.join()
        self._branches.join()
        for output in self.outputs:
            while output.sink.on_main_thread and output.step(0.01):
                pass
            output.join()
        self._figures.end()

    def _done(self) -> bool:
        return self._ended and not any(
            output.alive or not output.join(0) for output in self.outputs
        )

    # The threads.

    def _settle(self) -> None:
        """Hands each frame, once it has its instances, to every branch."""
        try:
            for item in self._schedule.settle(self._intake.queue):
                self._distribute(item)
        except Cancelled:
            logger.debug("the run was aborted")
        except BaseException as error:  # noqa: BLE001 - carried to the caller of run
            self._fail(error)
            # The source must not wait; what is downstream is finished and written.
            self._intake.cancel()
            self.source.close()
        self._draining.set()
        self._branches.close()
        # Files are being finished meanwhile; inference under way cannot be ended from outside.
        self._intake.join()
        self._schedule.close()
        self._ended = True
        self._wake.set()

    def _distribute(self, item: Work) -> None:
        branches = self._branches.in_use
        if not isinstance(item, Job):
            if item.begun:
                self.info = replace(self.info, copied=item.begun)
            for branch in branches:
                branch.put(item, shared=False)
            return
        try:
            self.info = info_of(item.frame, self.info)
            self._moved = self._now()
            if self._on_frame is not None:
                self._on_frame(item.frame)
            for branch in branches:
                branch.put(item, shared=len(branches) > 1)
        finally:
            item.settle(Fate.DROPPED)

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            if self._error is None:
                self._error = error
            else:
                logger.debug("a further error after the first", exc_info=error)

    def _left(self, output: Output) -> None:
        """An output has ended; called in its thread."""
        self._branches.remove(output)
        error = output.error
        if error is not None:
            self._fail(error)
            self.say(str(error))
        others = any(one.alive for one in self.outputs if one is not output)
        if (error is not None or output.gone) and not others:
            self._enough = output.gone  # nobody interrupted it
            self.stop()
            self._intake.cancel()
        elif error is not None:
            logger.warning("%s; the other outputs go on", error)
        elif output.sink.on_main_thread and not self._draining.is_set():
            self.stop()  # its user has closed it
        self._wake.set()
