"""What a worker does: it keeps the model, and does one file after the other."""

from __future__ import annotations

import io
import os
import platform
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stream.errors import StreamError
from stream.fleet.places import Result, at_hand

if TYPE_CHECKING:
    from stream.inference.segmenter import Segmenter
    from stream.run.plan import RunPlan


@dataclass(frozen=True, slots=True)
class Task:
    """One file for a worker.

    Attributes:
        number: its own in the ledger.
        source: its path or address.
        targets: where its results go, one for each output of the plan.
    """

    number: int
    source: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a task.

    Attributes:
        number: the task's.
        node: the machine's name.
        seconds: that it took.
        frames: in the result.
        error: why it failed, in a sentence; None where all results are in their places.
    """

    number: int
    node: str
    seconds: float
    frames: int = 0
    error: str | None = None


class Worker:
    """Does files with one model; lives in a process of its own.

    Args:
        plan: what is done with each file; its source and its outputs' targets are put in.
        threads: of the processor, for inference.
    """

    def __init__(self, plan: RunPlan, threads: int) -> None:
        self._plan = plan
        self._threads = threads
        self._segmenter: Segmenter | None = None
        self._node = platform.node()

    def prepare(self) -> str | None:
        """Loads the model; returns why it cannot, None where it is there."""
        import cv2

        from stream.run.finding import load_segmenter

        cv2.setNumThreads(max(1, self._threads))
        try:
            self._segmenter = load_segmenter(self._plan.model, live=False, threads=self._threads)
        except StreamError as error:
            return str(error)
        return None

    def where(self) -> tuple[str, int]:
        """The machine's name and the process."""
        return self._node, os.getpid()

    def do(self, task: Task) -> Done:
        """Does a file; what goes wrong with it comes back as a sentence."""
        begun = time.monotonic()
        try:
            frames = self._do(task)
        except StreamError as error:
            return Done(task.number, self._node, time.monotonic() - begun, error=str(error))
        return Done(task.number, self._node, time.monotonic() - begun, frames)

    def _do(self, task: Task) -> int:
        from rich.console import Console

        from stream.run import setup

        with tempfile.TemporaryDirectory(prefix="stream-fleet-") as folder:
            scratch = Path(folder)
            results = [Result(target, task.number, scratch) for target in task.targets]
            try:
                with at_hand(task.source, scratch) as path:
                    plan = replace(
                        self._plan,
                        source=replace(self._plan.source, target=str(path)),
                        outputs=tuple(
                            replace(output, target=str(result.open()))
                            for output, result in zip(self._plan.outputs, results, strict=True)
                        ),
                    )
                    silent = Console(file=io.StringIO())
                    report, outcome = setup.execute(plan, console=silent, segmenter=self._segmenter)
                if outcome.error is not None:
                    raise outcome.error
                if outcome.interrupted:
                    raise StreamError(f"{task.source} was interrupted")
                for result in results:
                    result.publish()
            finally:
                for result in results:
                    result.drop()
        return report.frames_out
