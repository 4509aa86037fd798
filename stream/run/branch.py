"""Outputs with the same layers, and the thread that paints once for all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from stream.frame import Frame, Passthrough
from stream.pictures.references import Referencer
from stream.queues import Cancelled, Queue, WhenFull
from stream.run.figures import Fate, Job
from stream.run.output import Delivery, Output, Painted
from stream.run.unsure import anybody
from stream.timing import Clock, timed

if TYPE_CHECKING:
    from stream.compositing.painter import Painter


def nobody(error: BaseException) -> None:
    """Where nobody is to be told of an error any more."""


class Branch:
    """Outputs that are painted alike, and the thread that paints for them.

    Args:
        painter: paints the layers; None where frames go on as they came.
        lines: gives the lines of the timing panel for a frame.
        clock: where painting's seconds are booked where several branches have a frame.
        when_full: what becomes of frames that it has no time for.
        capacity: how many frames wait for it.
        undoubted: up to which index frames may come without what is unsure in them, as nobody
            covered anything when they were looked at.
    """

    def __init__(
        self,
        painter: Painter | None,
        lines: Callable[[Frame], Sequence[str]],
        clock: Clock,
        *,
        when_full: WhenFull,
        capacity: int,
        undoubted: Callable[[], int] = lambda: -1,
    ) -> None:
        self.painter = painter
        self.key: Hashable = None if painter is None else painter.key
        self.error: BaseException | None = None
        self._lines = lines
        self._clock = clock
        self._undoubted = undoubted
        self._lock = threading.Lock()
        self._outputs: list[Output] = []
        self._over = False
        self._retired: list[Painter] = []
        self._refer = Referencer()
        self.queue: Queue[Delivery] = Queue(
            "painting", capacity, when_full, droppable=lambda item: isinstance(item, Painted)
        )
        self._thread = threading.Thread(target=self._run, name="stream-composite", daemon=True)
        self._on_error: Callable[[BaseException], None] = nobody

    @property
    def outputs(self) -> list[Output]:
        """The outputs that it paints for now."""
        with self._lock:
            return list(self._outputs)

    def repaint(self, painter: Painter) -> None:
        """Changes the layers from the next frame on, for all its outputs."""
        with self._lock:
            if self.painter is not None:
                self._retired.append(self.painter)
            self.painter, self.key = painter, painter.key
            for output in self._outputs:
                output.painter = painter

    def add(self, output: Output) -> None:
        """One more output gets the frames from here on; where none will come, it is finished."""
        with self._lock:
            if not self._over:
                self._outputs.append(output)
                return
        output.close()

    def remove(self, output: Output) -> bool:
        """An output gets no more frames; returns whether it got any here."""
        with self._lock:
            if output not in self._outputs:
                return False
            self._outputs.remove(output)
            return True

    def start(self, on_error: Callable[[BaseException], None]) -> None:
        """Begins to paint; `on_error` is told what painting raised, in the branch's thread."""
        self._on_error = on_error
        self._thread.start()

    def put(self, item: Job | Passthrough, *, shared: bool) -> None:
        """Hands it a frame, or packets.

        Args:
            item: what comes next.
            shared: whether other branches get the same frame, so that this one needs its own
                reference to the picture.

        Raises:
            Cancelled: the run was told to stop at once.
        """
        if isinstance(item, Passthrough):
            self.queue.put(item)
            return
        frame = item.frame
        if shared:
            frame = replace(frame, image=self._refer(frame.image))
        item.hold()
        painted = Painted(item, frame)
        try:
            pushed_out = self.queue.put(painted)
        except Cancelled:
            item.settle(Fate.DROPPED)
            raise
        self._drop(pushed_out)
        late = sum(isinstance(one, Painted) for one in pushed_out)
        for output in self.outputs if late else ():
            output.figures.unpainted += late

    def _drop(self, items: Sequence[Delivery]) -> None:
        for item in items:
            if isinstance(item, Painted):
                item.job.settle(Fate.DROPPED)

    def close(self) -> None:
        """Nothing more comes: what waits is painted, then the outputs are closed."""
        self.queue.close()

    def cancel(self) -> None:
        """It lets go at once."""
        self._drop(self.queue.cancel())

    def join(self) -> None:
        """Waits for its thread."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self._work()
        finally:
            for painter in (*self._retired, *([] if self.painter is None else [self.painter])):
                painter.close()
            # It holds its run no longer, which else waits with its source for Python's collector.
            self._on_error = nobody

    def _work(self) -> None:
        try:
            if self.painter is not None:
                self.painter.begin()
            for item in self.queue:
                self._pass_on(item)
        except Cancelled:
            return
        except BaseException as error:  # noqa: BLE001 - carried to the run
            self._drop(self.queue.cancel())
            self.error = error
            self._on_error(error)
        with self._lock:
            self._over = True
        for output in self.outputs:
            output.close()

    def _pass_on(self, item: Delivery) -> None:
        if isinstance(item, Passthrough):
            for output in self.outputs:
                output.put(item)
            return
        try:
            outputs = self.outputs
            wanting = [output for output in outputs if output.sink.wanted]
            for output in outputs:
                if output not in wanting:
                    output.skip(item)
            if wanting:
                self._paint(item.frame, item.job)
            for output in wanting:
                output.put(item)
        finally:
            # An output that was cancelled counts for itself; the branch is done with the frame.
            item.job.settle(Fate.DROPPED)

    def _paint(self, frame: Frame, job: Job) -> None:
        if self.painter is None:
            return
        if frame is job.frame:
            with timed(frame.stages, "composite"):
                self._paint_by(self.painter, frame)
            return
        # Each branch paints the frame, so each books its own time.
        stages: dict[str, float] = {}
        with timed(stages, "composite"):
            self._paint_by(self.painter, frame)
        self._clock.add("composite", stages["composite"])

    def _paint_by(self, painter: Painter, frame: Frame) -> None:
        found = frame.instances
        unknown = found is not None and found.unsure is None and frame.index <= self._undoubted()
        if painter.covers and unknown:
            # They are few, and what was not looked for in them may be anywhere.
            frame.instances = anybody((frame.image.height, frame.image.width))
        painter.paint(frame, self._lines(frame))
        frame.instances = found
