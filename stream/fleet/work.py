"""What a worker does: it keeps the model, and does one file, or part of one, after the other."""

from __future__ import annotations

import logging
import platform
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from stream.errors import SinkError, StreamError, refusal
from stream.fleet.results import remarks_of, results, with_targets
from stream.fleet.scratch import scratch, tidy
from stream.fleet.task import Done, Task
from stream.fleet.transit import ReplacedError, UnfetchedError, at_hand, refuse_another, version_of
from stream.plugins import culprit
from stream.system.scarcity import scarcity

if TYPE_CHECKING:
    from stream.inference.segmenter import Segmenter
    from stream.run.plan import RunPlan
    from stream.run.report import RunReport


_log = logging.getLogger(__name__)


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
        self._signs = 0

    def prepare(self) -> tuple[str, str | None]:
        """Loads the model; returns the machine's name, and why it cannot, else None."""
        import cv2

        from stream.run.finding import load_segmenter

        tidy()  # what a worker before this one may have left
        cv2.setNumThreads(max(1, self._threads))
        try:
            self._segmenter = load_segmenter(self._plan.model, live=False, threads=self._threads)
        except StreamError as error:
            return self._node, str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the fleet goes on
            return self._node, _fault(error)
        return self._node, None

    def signs(self) -> int:
        """How many signs of life there were; may be asked for from another thread at any time."""
        return self._signs

    def _live(self, *_: object) -> None:
        self._signs += 1

    def do(self, task: Task) -> Done:
        """Does a file or a part; what goes wrong with it comes back as a sentence."""
        begun = time.monotonic()
        done = Done(task.number, self._node, 0.0, key=task.key, serial=task.serial)
        try:
            with scratch() as folder:
                done = self._do(task, folder, done)
        except StreamError as error:
            from stream.run.kept import KeptLostError

            lost = isinstance(error, KeptLostError | ReplacedError)
            unplaced = isinstance(error, SinkError) and error.by_place
            unfetched = isinstance(error, UnfetchedError)
            done = replace(
                done, error=str(error), lost=lost, unplaced=unplaced, unfetched=unfetched
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, the fleet goes on
            # The worker lives; another file need not have it.
            done = replace(done, error=str(refusal(error) or _fault(error)))
        return replace(done, seconds=time.monotonic() - begun)

    def _do(self, task: Task, scratch: Path, done: Done) -> Done:
        if task.part is not None:
            refuse_another(task.source, task.part.version)
        version = version_of(task.source) if task.split is not None else ""
        with at_hand(task.source, scratch, self._live) as path:
            if task.part is not None:
                from stream.fleet.part_work import PartWork

                plan = self._at(path)
                return PartWork(plan, self._model, task, task.part, scratch, self._live).do(done)
            if task.split is not None:
                from stream.sources._part import cut

                found = cut(path, Fraction(task.split))
                if found.begins:
                    return replace(done, begins=found.begins, version=version)
                done = replace(done, remark=found.why_not and f"not cut: {found.why_not}")
            made = self._file(task, path, scratch)
            remarks = [done.remark] * bool(done.remark) + remarks_of(made)
            return replace(done, frames=made.frames_out, remark="; ".join(remarks))

    @property
    def _model(self) -> Segmenter:
        assert self._segmenter is not None
        return self._segmenter

    def _at(self, path: Path) -> RunPlan:
        """The plan with a file as its source."""
        return replace(self._plan, source=replace(self._plan.source, target=str(path)))

    def _file(self, task: Task, path: Path, scratch: Path) -> RunReport:
        """Does a file at once."""
        from stream.run import setup

        with results(task.targets, task.number, scratch, self._live) as made:
            plan = with_targets(self._at(path), made)
            report, outcome = setup.execute(plan, segmenter=self._segmenter, on_frame=self._live)
            if outcome.error is not None:
                raise outcome.error
            if outcome.interrupted:
                raise StreamError(f"{task.source} was interrupted")
        return report


def _fault(error: Exception) -> str:
    """The sentence for what is no fault of a file or of a machine."""
    if short := scarcity(error):
        return "; ".join(short)
    _log.debug("a fault of the program", exc_info=error)
    return f"a fault of {culprit(error)}: {type(error).__name__}: {error}"
