"""What a worker does: it keeps the model, and does one file, or part of one, after the other."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from stream.errors import SinkError, StreamError, refusal
from stream.fleet.parts import PartKey, PartTask
from stream.fleet.places import Life, Result, at_hand
from stream.fleet.scratch import scratch, tidy
from stream.plugins import culprit

if TYPE_CHECKING:
    from stream.inference.segmenter import Segmenter
    from stream.run.plan import RunPlan
    from stream.run.report import RunReport


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """One file for a worker, or a part of one.

    Attributes:
        number: the file's in the ledger.
        source: its path or address.
        targets: where its results go, one for each output of the plan.
        split: how many seconds a part has at least, where a long file is to be cut; else None.
        part: which part it is; None for the file.
        serial: of the task, for its driver.
    """

    number: int
    source: str
    targets: tuple[str, ...]
    split: float | None = None
    part: PartTask | None = None
    serial: int = 0

    @property
    def key(self) -> PartKey | None:
        """Which part it is; None for the file."""
        return None if self.part is None else self.part.key


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a task.

    Attributes:
        number: the task's.
        node: the machine's name.
        seconds: that it took.
        frames: in the result.
        error: why it failed, in a sentence; None where all results are in their places.
        key: which part it was; None for the file.
        begins: where the parts of a file begin that is to be done in parts; then nothing else was.
        whole: whether a file that was cut is to be done at once from here on.
        lost: whether what an earlier step wrote is gone, so that the file must begin anew.
        remark: what is to be said of the file.
        serial: the task's.
    """

    number: int
    node: str
    seconds: float
    frames: int = 0
    error: str | None = None
    key: PartKey | None = None
    begins: tuple[int, ...] = ()
    whole: bool = False
    lost: bool = False
    remark: str = ""
    serial: int = 0


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

            lost = isinstance(error, KeptLostError)
            done = replace(done, error=str(error), lost=lost)
        except Exception as error:  # noqa: BLE001 - whatever it is, the fleet goes on
            # The worker lives; another file need not have it.
            done = replace(done, error=str(refusal(error) or _fault(error)))
        return replace(done, seconds=time.monotonic() - begun)

    def _do(self, task: Task, scratch: Path, done: Done) -> Done:
        with at_hand(task.source, scratch, self._live) as path:
            if task.part is not None:
                from stream.fleet.part_work import PartWork

                plan = self._at(path)
                return PartWork(plan, self._model, task, task.part, scratch, self._live).do(done)
            if task.split is not None:
                from stream.sources._part import cut

                found = cut(path, Fraction(task.split))
                if found.begins:
                    return replace(done, begins=found.begins)
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


def remarks_of(report: RunReport) -> list[str]:
    """What is to be said of a file that was done: what is damaged in it, or was left out."""
    damaged = f"{report.corrupt} damaged frame{'s' * (report.corrupt > 1)}"
    return [*report.remarks, *([damaged] if report.corrupt else [])]


def _fault(error: Exception) -> str:
    """The sentence for what is no fault of a file or of a machine."""
    _log.debug("a fault of the program", exc_info=error)
    return f"a fault of {culprit(error)}: {type(error).__name__}: {error}"


@contextmanager
def results(
    places: tuple[str, ...], number: int, scratch: Path, life: Life
) -> Iterator[list[Result]]:
    """Results to be written, which are put in their places where nothing goes wrong."""
    made = [Result(place, number, scratch, life) for place in places]
    try:
        yield made
        for result in made:
            result.publish()
    except SinkError as error:
        # Nothing is saved under the name that it is written under, which says nobody anything.
        what = error.what
        for result in made:
            what = what.replace(str(result.working), result.target)
        if what == str(error):
            raise
        raise SinkError(what) from error
    finally:
        for result in made:
            result.drop()


def with_targets(plan: RunPlan, made: list[Result]) -> RunPlan:
    """The plan with results as its first outputs' targets."""
    outputs = tuple(
        replace(output, target=str(result.open()))
        for output, result in zip(plan.outputs, made, strict=True)
    )
    return replace(plan, outputs=outputs)
