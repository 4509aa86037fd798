"""A worker's task that is a part of a file: what it needs is fetched, what it makes put there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stream.errors import SinkError
from stream.fleet.between import Place
from stream.fleet.parts import PartTask, Step
from stream.fleet.places import exists, here
from stream.fleet.results import results, with_targets
from stream.fleet.steps import Made, Steps
from stream.fleet.task import Done, Task
from stream.fleet.transit import Life, Result, UnfetchedError, at_hand, refuse_another
from stream.run.kept import KeptLostError
from stream.sinks._spliced import NotJoinableError

if TYPE_CHECKING:
    from stream.inference.segmenter import Segmenter
    from stream.run.plan import OutputPlan, RunPlan


class PartWork:
    """Does a step with a file at hand.

    Args:
        plan: what is done with the file, which is its source.
        model: finds the objects.
        task: the worker's.
        part: of it.
        scratch: a folder for what is only needed meanwhile.
        life: called as often as it has gone on.
    """

    def __init__(
        self,
        plan: RunPlan,
        model: Segmenter,
        task: Task,
        part: PartTask,
        scratch: Path,
        life: Life,
    ) -> None:
        self._plan, self._model, self._scratch = plan, model, scratch
        self._task, self._part, self._life = task, part, life

    def do(self, done: Done) -> Done:
        """Does it; returns what came of it.

        Raises:
            StreamError: it cannot be done.
        """
        does: dict[Step, Callable[[Done], Done]] = {
            Step.FIND: self._find,
            Step.FOLLOW: self._follow,
            Step.PAINT: self._paint,
            Step.JOIN: self._join,
            Step.WHOLE: self._whole,
        }
        try:
            return does[self._part.key.step](done)
        except NotJoinableError as error:
            return replace(done, whole=True, remark=f"painted at once: {error}")

    def _find(self, done: Done) -> Done:
        part, place = self._part, self._part.key.place
        begin = part.begins[place] if place else None
        end = part.begins[place + 1] if place + 1 < part.count else None
        with self._results((part.found(place),)) as (made,):
            return replace(done, frames=self._steps(self._plan).find(begin, end, made.open()))

    def _follow(self, done: Done) -> Done:
        part = self._part
        kept = tuple(map(part.followed, range(part.count)))
        records = self._task.targets[1:]
        with (
            self._results(records) as written,
            self._results(kept) as made,
        ):
            video = self._video
            beside = with_targets(replace(self._plan, outputs=self._plan.outputs[1:]), written)
            plan = replace(self._plan, outputs=(video, *beside.outputs))
            places = [made_one.open() for made_one in made]
            followed = self._steps(plan).follow(self._found, part.begins, beside.outputs, places)
            if followed.why:
                for result in (*written, *made):
                    result.forget()
        if followed.why:
            return replace(done, whole=True, remark=f"painted at once: {followed.why}")
        return replace(done, frames=followed.frames)

    def _paint(self, done: Done) -> Done:
        part, place = self._part, self._part.key.place
        steps = self._steps(replace(self._plan, outputs=(self._video,)))
        first = sum(part.frames[:place])
        with (
            kept_at_hand(part.followed(place), self._scratch, self._life) as at,
            self._results((part.painted(place),)) as (made,),
        ):
            return replace(done, frames=steps.paint(place, part.begins, first, at, made.open()))

    def _join(self, done: Done) -> Done:
        part = self._part
        with ExitStack() as stack:
            painted = [
                stack.enter_context(kept_at_hand(part.painted(place), self._scratch, self._life))
                for place in range(part.count)
            ]
            (made,) = stack.enter_context(self._results(self._task.targets[:1]))
            video = replace(self._plan.outputs[0], target=str(made.open()))
            steps = self._steps(replace(self._plan, outputs=(video,)))
            return _with(done, steps.join(painted))

    def _whole(self, done: Done) -> Done:
        with self._results(self._task.targets) as made:
            steps = self._steps(with_targets(self._plan, made))
            return _with(done, steps.whole(self._found))

    @contextmanager
    def _results(self, places: tuple[str, ...]) -> Iterator[list[Result]]:
        """Results that are put in their places where the film is still the one that was cut."""
        with results(places, self._task.number, self._scratch, self._life) as made:
            yield made
            refuse_another(self._task.source, self._part.version)

    @property
    def _found(self) -> list[Place]:
        places = map(self._part.found, range(self._part.count))
        return [partial(kept_at_hand, place, self._scratch, self._life) for place in places]

    @property
    def _video(self) -> OutputPlan:
        """A video here that is written as the file's own will be."""
        place = here(self._scratch, self._task.targets[0])
        return replace(self._plan.outputs[0], target=str(place))

    def _steps(self, plan: RunPlan) -> Steps:
        return Steps(plan, self._model, self._life)


def _with(done: Done, made: Made) -> Done:
    return replace(done, frames=made.frames, remark="; ".join(made.remarks))


@contextmanager
def kept_at_hand(place: str, scratch: Path, life: Life) -> Iterator[Path]:
    """A file that an earlier step left, as a path.

    Raises:
        KeptLostError: it is not there.
        SourceError: the storage does not give it.
    """
    try:
        there = exists(place)
    except SinkError as error:
        raise UnfetchedError(str(error)) from error
    if not there:
        raise KeptLostError(f"{place.rpartition('/')[2]}, which an earlier step wrote, is gone")
    with at_hand(place, scratch, life) as path:
        yield path
