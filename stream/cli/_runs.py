"""From plans to finished runs: checked, carried out, reported, with the exit code they earn."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import typer

from stream.cli import _common as common
from stream.cli._after import report_clip, report_run, report_source, summary
from stream.disk.files import by_identity, identity
from stream.errors import SinkError, StreamError, UsageError, refusals
from stream.run import finding, setup  # before anything that loads PyAV
from stream.run.figures import Outcome
from stream.run.guard import check_reports, read_by, report_of
from stream.run.interrupt import Ended, exit_code, note_signal
from stream.run.plan import RunPlan
from stream.run.plot import plot_of
from stream.run.report import RunReport, failed_report, write_report
from stream.settings.options import RunOptions
from stream.sources.base import Source
from stream.wording.words import counted


def save_or_none(run: RunOptions, plans: Sequence[RunPlan]) -> bool:
    """Writes the plans down where that was asked for; the command is done then.

    Raises:
        StreamError: the file exists or cannot be written.
    """
    if run.save_config is None:
        return False
    from stream.plans.saved_config import save

    save(run.save_config, [replace(one, run=replace(run, save_config=None)) for one in plans])
    common.say(f"wrote {run.save_config}; `stream run {run.save_config}` does it", quiet=run.quiet)
    return True


def go_through(
    plans: Sequence[RunPlan],
    run: RunOptions,
    *,
    skipped: Sequence[str] = (),
    several: bool = False,
    make_folders: bool = False,
    read: Sequence[Path] = (),
    placing: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> None:
    """Runs plans of files one after another; of several, one that fails is not the end.

    Args:
        plans: with one model.
        run: how much is said.
        skipped: inputs that were left out since their results are there.
        several: whether to print a line a clip and a summary, also for one.
        make_folders: whether the folders that outputs lie in are made.
        read: further files that are read.
        placing: says of errors in its block where what they are about was asked for.

    Raises:
        StreamError: there is one plan and it cannot be carried out, or all fail alike.
        typer.Exit: with another code than 0.
    """
    for name in skipped:
        common.say(f"{name}: its result is there already", quiet=run.quiet)
    targets = [one.target for plan in plans for one in plan.outputs]
    named = (path for plan in plans for path in (plot_of(plan), report_of(plan)))
    beside = [str(path) for path in named if path is not None]
    made = {Path(one).parent for one in (*targets, *beside)} if make_folders else set()
    with folders_made(made, targets):
        check_reports(plans, read)
        with said_where_unbegun(quiet=run.quiet):
            batch = _Batch(plans, run, len(skipped), several, placing)
        for index in range(len(plans)):
            if batch.interrupted:
                break
            batch.do(index)
        batch.write_reports()
    if several:
        batch.say_summary()
    if batch.interrupted:
        raise typer.Exit(exit_code(batch.signalled))
    if batch.failed:
        raise typer.Exit(1)


class _Batch:
    """Plans on their way: one model for all, and what came of each."""

    def __init__(
        self,
        plans: Sequence[RunPlan],
        run: RunOptions,
        skipped: int,
        several: bool,
        placing: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.reports: list[RunReport] = []
        self.failed: list[str] = []
        self.interrupted = False
        self.signalled: int | None = None
        self._plans = plans
        self._placing = placing
        self._quiet = run.quiet
        self._skipped = skipped
        self._several = several
        self._total = len(plans) + skipped
        self._problems = _problems(plans)
        self._segmenter = None
        looked_at = [plan for plan in plans if plan.source.options.replay.from_records is None]
        # The run of a single plan loads it itself, for the size of its pictures.
        if len(plans) > 1 and looked_at and len(self._problems) < len(plans):
            self._segmenter = finding.load_segmenter(plans[0].model, live=False)

    def do(self, index: int) -> None:
        """Carries out a plan, and says what came of it."""
        plan = self._plans[index]
        number = self._skipped + index + 1
        try:
            with self._placing(), refusals(), said_where_unbegun(quiet=self._quiet):
                if index in self._problems:
                    raise self._problems[index]
                report, outcome = self._execute(plan, number)
        except KeyboardInterrupt as error:
            if not self.reports:
                raise
            # What was done before it is told of all the same.
            self.interrupted = True
            self.signalled = error.number if isinstance(error, Ended) else signal.SIGINT
            note_signal(self.signalled)
            return
        except StreamError as error:
            if not self._several:
                raise
            common.say_error(f"{number} of {self._total}: {error}")
            self._failed(plan, error)
            return
        if outcome.error is not None and not isinstance(outcome.error, StreamError):
            raise outcome.error
        self.reports.append(report)
        # Where its output failed, nobody interrupted it: the next ones go on.
        self.interrupted = outcome.interrupted and outcome.error is None
        self.signalled = outcome.signalled
        if not self._quiet:
            if self._several:
                report_clip(report, number, self._total, plan.model)
            else:
                report_run(report, plan.model)
        if report.error is not None:
            common.say_error(report.error)
            self.failed.append(str(plan.source.target))

    def write_reports(self) -> None:
        """Writes the figures to the files that the plans name, several into one where it is one.

        Raises:
            SinkError: a file cannot be written.
        """
        files: dict[Path, list[RunReport]] = {}
        for plan, report in zip(self._plans, self.reports, strict=False):  # Ctrl-C: fewer reports
            path = report_of(plan)
            if path is not None:
                files.setdefault(path, []).append(report)
        for path, reports in files.items():
            write_report(path, reports)

    def say_summary(self) -> None:
        """Says what came of all."""
        written = len(self.reports) - len(self.failed)
        lines = summary(written, self._skipped, self.failed, self._total)
        common.say(lines[0], quiet=self._quiet)
        if lines[1:]:
            common.say_error(lines[1])

    def _execute(self, plan: RunPlan, number: int) -> tuple[RunReport, Outcome]:
        segmenter = self._segmenter
        return setup.execute(
            plan,
            segmenter=segmenter,
            console=common.progress_console(quiet=self._quiet),
            # Said once, not for every file of a folder.
            remarks=() if segmenter is None or self.reports else segmenter.remarks,
            which=f"{number} of {self._total}: " if self._several else "",
        )

    def _failed(self, plan: RunPlan, error: StreamError) -> None:
        source = str(plan.source.target)
        name, provider = plan.model.model, "none"
        if self._segmenter is not None:
            name, provider = self._segmenter.name, self._segmenter.provider
        output = ", ".join(one.target for one in plan.outputs)
        self.reports.append(failed_report(source, output, name, provider, str(error)))
        self.failed.append(source)


def _problems(plans: Sequence[RunPlan]) -> dict[int, StreamError]:
    """What is wrong with outputs, by the place of their plan, found before any work.

    Raises:
        StreamError: there is one plan, or all fail alike: then there is nothing to be done.
    """
    found: dict[int, StreamError] = {}
    read = by_identity(path for plan in plans for path in read_by(plan))
    for index, plan in enumerate(plans):
        try:
            with refusals():
                setup.check(plan, _at_risk(plan, read))
        except StreamError as error:
            if len(plans) == 1:
                raise
            found[index] = error
    if plans and len(found) == len(plans) and not any(_exists(one) for one in plans):
        raise found[0]
    return found


def _at_risk(plan: RunPlan, read: Mapping[tuple[int, int], Path]) -> list[Path]:
    """What is read, by any plan, in the place of something that this one writes."""
    written = [*(Path(one.target) for one in plan.outputs), plot_of(plan), report_of(plan)]
    known = (identity(path) for path in written if path is not None)
    return [read[one] for one in known if one is not None and one in read]


def _exists(plan: RunPlan) -> bool:
    return any(identity(Path(one.target)) is not None for one in plan.outputs)


@contextlib.contextmanager
def said_where_unbegun(*, quiet: bool) -> Iterator[None]:
    """Says of what Ctrl-C ends before a run could take it that nothing came of it."""
    try:
        yield
    except KeyboardInterrupt:
        common.say("stopped before the first picture", quiet=quiet)
        raise


def make_folder(folder: Path) -> None:
    """Makes a folder, and those it lies in, where they are not there.

    Raises:
        SinkError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"the folder {folder} cannot be made: {error.strerror or error}") from error


@contextlib.contextmanager
def folders_made(folders: Iterable[Path], targets: Iterable[str]) -> Iterator[None]:
    """Makes folders that are not there, and takes those away again that nothing came into.

    Args:
        folders: are made.
        targets: of outputs, some of which make folders for themselves.

    Raises:
        SinkError: one cannot be made.
    """
    made = {
        one
        for path in (*folders, *map(Path, targets))
        for one in (path, *path.parents)
        if not os.path.lexists(one)
    }
    try:
        for folder in folders:
            make_folder(folder)
        yield
    finally:
        for one in sorted(made, key=lambda path: len(path.parts), reverse=True):
            # It has something in it, is no folder, or was not made.
            with contextlib.suppress(OSError):
                one.rmdir()


def run_live(
    plan: RunPlan, read: Sequence[Path] = (), opened: Callable[[], Source] | None = None
) -> None:
    """Runs a live plan and reports.

    Args:
        plan: what is to be run.
        read: further files that are read.
        opened: opens the source; None opens the plan's.

    Raises:
        StreamError: source, model or output cannot be used, or the run failed.
    """
    if plan.live.display == "browser":
        run_served([plan], read)
        return
    check_reports([plan], read)
    console = common.progress_console(quiet=plan.run.quiet)
    report, outcome = setup.execute(plan, console=console, opened=opened)
    if not plan.run.quiet:
        report_run(report, plan.model, live=True)
    if outcome.error is not None:
        raise outcome.error


def run_served(plans: Sequence[RunPlan], read: Sequence[Path] = ()) -> None:
    """Runs live plans on a page in the browser, and reports, a line each where there are several.

    Args:
        plans: one for each source.
        read: further files that are read.

    Raises:
        StreamError: a source, the model or the address cannot be used, or the only run failed.
    """
    from stream.serve.memory import keep_what_is_loaded
    from stream.serve.serving import serve

    refuse_shared_report(plans)
    check_reports(plans, read)
    # Where the page is, is what was asked for: `--quiet` says that too.
    rooms = serve(
        plans,
        console=common.progress_console(quiet=plans[0].run.quiet),
        say=common.say,
        on_ready=lambda _: keep_what_is_loaded(),
        on_away=lambda place, report: report_source(plans, place, report, away=True),
    )
    for place, room in enumerate(rooms):
        report_source(plans, place, room.report)


def refuse_shared_report(plans: Sequence[RunPlan]) -> None:
    """Each live source keeps its own report up to date, so that each needs a file.

    Raises:
        UsageError: two would write the same.
    """
    named = [path for path in map(report_of, plans) if path is not None]
    if len(set(named)) < len(named):
        raise UsageError(
            "live sources side by side need a report each: write report = "
            '"{name}.json" under [run] of a file for `stream run`'
        )


def run_pictures(plan: RunPlan, read: Sequence[Path] = ()) -> None:
    """Runs a plan of pictures and reports.

    Args:
        plan: what is to be run.
        read: further files that are read.

    Raises:
        StreamError: the pictures, the model or the output cannot be used.
        typer.Exit: with 1 where a picture could not be read, after Ctrl-C with its `exit_code`.
    """
    check_reports([plan], read)
    console = common.progress_console(quiet=plan.run.quiet)
    with said_where_unbegun(quiet=plan.run.quiet):
        report, outcome = setup.execute(plan, console=console)
    if outcome.error is not None and not isinstance(outcome.error, StreamError):
        raise outcome.error
    if not plan.run.quiet:
        report_run(report, plan.model)
    path = report_of(plan)
    if path is not None:
        write_report(path, [report])
    if outcome.error is not None:
        raise outcome.error
    if outcome.interrupted:
        raise typer.Exit(exit_code(outcome.signalled))
    if report.corrupt:
        _say_unreadable(plan, report)
        raise typer.Exit(1)


def _say_unreadable(plan: RunPlan, report: RunReport) -> None:
    """Says as an error how many pictures could not be read; which, where no note has said it."""
    total = report.corrupt + report.frames_in
    common.say_error(f"{report.corrupt} of {counted(total, 'picture')} could not be read")
    given = plan.source.target
    if plan.run.quiet and isinstance(given, tuple):
        names = tuple(str(one) for one in given)
        for remark in report.remarks:
            if remark.startswith(names):
                common.say_error(remark)
