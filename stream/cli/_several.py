"""One or several live sources of one command: a plan for each, and their runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import typer

from stream.cli import _common as common
from stream.errors import UsageError
from stream.run.plan import RunPlan, SourcePlan
from stream.settings.options import LiveOptions, RunOptions
from stream.wording.names import NAME, distinct, name_of, refuse_unknown_words


def plans_of(
    sources: Sequence[SourcePlan],
    files: Sequence[str],
    asked: common.Common,
    live: LiveOptions,
    beside: common.BesideOptions,
) -> list[RunPlan]:
    """What is to be run, a plan for each source, with `{name}` written out in its outputs.

    Args:
        sources: with their options.
        files: outputs, as they were typed.
        asked: what all commands ask.
        live: how live sources go.
        beside: records and masks.

    Raises:
        UsageError: several sources would go into one file.
    """
    several = len(sources) > 1
    report, plot = asked.run.report, asked.counts.plot
    single = [*files, *(str(one) for one in (report, plot) if one is not None)]
    for one in single if several else ():
        if NAME not in one:
            raise UsageError(
                f"{one} cannot be for several sources; put {NAME} into it, which stands for each "
                f"source's name, such as '{NAME}{Path(one).suffix or '.mp4'}'"
            )
    for one in files:
        refuse_unknown_words(one)
    plans = []
    for source, name in zip(sources, names_of(sources), strict=True):
        target = str(source.target)
        records = common.record_targets(beside.records, target, several=several, name=name)
        masks = beside.masks
        if masks is not None and several:
            masks = f"{masks.rstrip('/')}/{name}"
        plans.append(
            RunPlan(
                source,
                common.outputs(
                    [one.replace(NAME, name) for one in files], asked, live, records, masks
                ),
                asked.model,
                asked.tracking,
                live,
                replace(asked.run, report=_placed(report, name)),
                counts=replace(asked.counts, plot=_placed(plot, name)),
            )
        )
    return plans


def names_of(sources: Sequence[SourcePlan]) -> list[str]:
    """The sources' names, all different."""
    return distinct(name_of(_plain(one.target)) for one in sources)


def _plain(target: object) -> object:
    """A target without the word that has a file played over and over."""
    return target.removeprefix("loop:") if isinstance(target, str) else target


def _placed(path: Path | None, name: str) -> Path | None:
    return None if path is None else Path(str(path).replace(NAME, name))


def run_sources(plans: Sequence[RunPlan], run: RunOptions) -> None:
    """Runs live plans, side by side where there are several, and reports.

    Raises:
        StreamError: what is asked for cannot come about, or the only run failed.
        typer.Exit: with 1 where one of several failed.
    """
    from stream.cli import _runs
    from stream.cli._after import report_clip
    from stream.run.guard import check_reports

    if _runs.save_or_none(run, plans):
        return
    if len(plans) == 1:
        _runs.run_live(plans[0])
        return
    if plans[0].live.display == "browser":
        _runs.run_served(plans)
        return
    from stream.run.wall import execute_all

    check_reports(plans)
    parts = execute_all(
        plans,
        names_of([plan.source for plan in plans]),
        console=common.progress_console(quiet=run.quiet),
        say=common.say_error,
    )
    for number, (part, plan) in enumerate(zip(parts, plans, strict=True), start=1):
        if part.report is not None and not run.quiet:
            report_clip(part.report, number, len(parts), plan.model, live=True)
    if any(part.problem is not None for part in parts):
        raise typer.Exit(1)
