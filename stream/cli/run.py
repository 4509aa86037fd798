"""`stream run`: what a configuration file says."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from stream.cli import _common as common
from stream.cli._groups import command
from stream.errors import UsageError
from stream.run.guard import refuse_twin_reports
from stream.run.interrupt import exit_code, hang_up, note_signal
from stream.run.plan import OutputPlan, RunPlan
from stream.settings.groups import build, changed, leaves
from stream.settings.option import option
from stream.settings.options import RunOptions
from stream.wording.names import WINDOW
from stream.wording.words import counted


@dataclass(frozen=True, slots=True)
class HereOptions:
    """How the file is done this time."""

    source: int | None = option(None, "Only the file's Nth source.", said="all", metavar="N", low=1)
    overwrite: bool = option(
        False, "Replace an existing output; without this it is refused before any work."
    )


@command
def run(
    config: Annotated[
        str,
        typer.Argument(metavar="FILE.toml", help="What to do: see docs/configuration.md."),
    ],
    here: HereOptions,
    said: RunOptions,
) -> None:
    """Do what a configuration file says: one or several sources, each with its outputs."""
    common.set_verbosity(quiet=said.quiet, verbose=said.verbose)
    from stream.cli import _runs
    from stream.plans.config import load, with_lines

    plans = [_with(plan, said, overwrite=here.overwrite) for plan in load(Path(config))]
    common.set_verbosity(quiet=plans[0].run.quiet, verbose=plans[0].run.verbose)
    refuse_twin_reports(plans)
    if here.source is not None:
        if here.source > len(plans):
            raise UsageError(f"{config} has {counted(len(plans), 'source')}, not {here.source}")
        plans = [plans[here.source - 1]]
    common.keep_clear(one.target for plan in plans for one in plan.outputs)
    if _runs.save_or_none(said, plans):
        return
    placing = partial(with_lines, Path(config), _flags())
    with placing():
        _carry_out(config, plans, said, overwrite=here.overwrite, placing=placing)


def _carry_out(
    config: str,
    plans: Sequence[RunPlan],
    said: RunOptions,
    *,
    overwrite: bool,
    placing: Callable[[], AbstractContextManager[None]],
) -> None:
    from stream.cli import _runs, _siblings
    from stream.run import setup

    if plans[0].fleet is not None:
        _run_fleet(config, plans)
        return
    read = (Path(config),)
    live = [plan for plan in plans if setup.is_live(plan.source)]
    if live and plans[0].live.display == "browser":
        _runs.run_served(plans, read)
    elif live and len(plans) > 1:
        _runs.refuse_shared_report(plans)
        _side_by_side([config, *_repeated(said, overwrite=overwrite)], len(plans))
    elif live:
        _runs.run_live(_with_window(live[0]), read, _siblings.opening(live[0]))
    elif len(plans) == 1 and setup.has_pictures(plans[0].source):
        _runs.run_pictures(plans[0], read)
    else:
        several = len(plans) > 1
        # As of the commands that such a file was saved for: `stream file takes/ -o out/`.
        _runs.go_through(
            plans, plans[0].run, several=several, make_folders=True, read=read, placing=placing
        )


def _flags() -> list[str]:
    """The flags that may be given beside a configuration."""
    return [leaf.flag for group in (HereOptions, RunOptions) for leaf in leaves(group).values()]


def _run_fleet(config: str, plans: Sequence[RunPlan]) -> None:
    from stream.cli._fleet_run import run_fleet

    if len(plans) > 1 or len(plans[0].outputs) != 1:
        raise UsageError(
            f"{config} is of a fleet, which has one [[source]], of which the target may be a list, "
            "and one [[output]], whose `to` is a folder"
        )
    run_fleet(plans[0])


def _with(plan: RunPlan, said: RunOptions, *, overwrite: bool) -> RunPlan:
    """What the command line says of the run comes before what the file says."""
    outputs = plan.outputs
    if overwrite:
        outputs = tuple(
            replace(one, options=replace(one.options, overwrite=True)) for one in outputs
        )
    run = build(RunOptions, changed(plan.run) | changed(said))
    return replace(plan, outputs=outputs, run=run)


def _with_window(plan: RunPlan) -> RunPlan:
    if plan.live.display == "none" or any(one.target == WINDOW for one in plan.outputs):
        return plan
    return replace(plan, outputs=(OutputPlan(WINDOW), *plan.outputs))


def _repeated(said: RunOptions, *, overwrite: bool) -> list[str]:
    """What the command line said of the run, for the processes that do it."""
    given = {"--quiet": said.quiet, "--verbose": said.verbose, "--overwrite": overwrite}
    flags = [flag for flag, on in given.items() if on]
    return flags if said.report is None else [*flags, "--report", str(said.report)]


def _side_by_side(words: Sequence[str], count: int) -> None:
    """Runs several sources at once, each in a process of its own, until the last one ends.

    Raises:
        typer.Exit: one of them failed; with its code.
    """
    from stream.cli._siblings import started

    command = [sys.executable, "-m", "stream", "run", *words, "--source"]
    running = started([[*command, str(number + 1)] for number in range(count)])

    def pass_on(number: int, frame: FrameType | None) -> None:
        # A terminal's Ctrl-C reaches them by itself; `kill` reaches this process alone. That it was
        # closed may reach them twice, which they know.
        note_signal(number)
        if number != signal.SIGINT:
            for one in running:
                one.send_signal(number)

    numbers = [signal.SIGINT, signal.SIGTERM, *hang_up()]
    before = {one: signal.signal(one, pass_on) for one in numbers}
    try:
        codes = [one.wait() for one in running]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    bad = [code for code in codes if code]
    if bad:
        ended = next((one for one in numbers if bad[0] == -one), None)
        raise typer.Exit(bad[0] if bad[0] > 0 else 1 if ended is None else exit_code(ended))
