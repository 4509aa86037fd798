"""Results of a task: under names of their own at first, in their places once all are whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stream.errors import SinkError
from stream.fleet.transit import Life, Result

if TYPE_CHECKING:
    from stream.run.plan import RunPlan
    from stream.run.report import RunReport


@contextmanager
def results(
    places: tuple[str, ...], number: int, scratch: Path, life: Life
) -> Iterator[list[Result]]:
    """Results to be written, which are put in their places where nothing goes wrong.

    Raises:
        SinkError: one cannot be put there.
    """
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
        raise SinkError(what, by_place=error.by_place) from error
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


def remarks_of(report: RunReport) -> list[str]:
    """What is to be said of a file that was done: what is damaged in it, or was left out."""
    damaged = f"{report.corrupt} damaged frame{'s' * (report.corrupt > 1)}"
    return [*report.remarks, *([damaged] if report.corrupt else [])]
