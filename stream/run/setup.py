"""From a plan to a run: what is asked for is opened, put together, run and reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stream import sources, tracking
from stream.errors import StreamError
from stream.frame import VideoInfo
from stream.run.about import Told, about_of
from stream.run.account import Account, plot_counts
from stream.run.callers import are_numbered, with_instances
from stream.run.controls import Controls
from stream.run.counting import Counting
from stream.run.cuts import Cuts
from stream.run.figures import Outcome
from stream.run.finding import find_by
from stream.run.guard import check_numbered, check_reports, read_by, records_of
from stream.run.interrupt import on_interrupt
from stream.run.opening import check_output, refuse_many
from stream.run.output import Output
from stream.run.outputs import is_recorded, open_output
from stream.run.pauses import pauses
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.run.plot import check_plot, plot_of
from stream.run.policy import LIVE, OFFLINE
from stream.run.progress import ProgressLine
from stream.run.report import RunReport
from stream.run.run import OnFrame, Run
from stream.run.schedule import Schedule
from stream.run.status import Entry
from stream.run.turns import Turns
from stream.run.unused import refuse_unpainted, unheeded, unused
from stream.settings.count_options import CountOptions
from stream.settings.options import PictureOptions
from stream.sinks.nothing import NOTHING
from stream.sources.base import Source

if TYPE_CHECKING:
    from rich.console import Console

    from stream.inference.segmenter import Segmenter

Finding = Callable[[VideoInfo], tuple[Told, Schedule]]
"""Gives what finds the objects of a source, and which of its frames."""


def is_live(source: SourcePlan) -> bool:
    """Whether a source goes on by itself: a camera, a network source, a file played like one.

    Raises:
        UsageError: nothing of this kind can be opened.
    """
    return source.options.camera.as_camera or sources.kind_of(source.target).live


def has_pictures(source: SourcePlan) -> bool:
    """Whether a source is photos.

    Raises:
        UsageError: nothing of this kind can be opened.
    """
    return sources.kind_of(source.target).photos


@dataclass(slots=True)
class Prepared:
    """A run that is ready, with all that it is made of."""

    run: Run
    segmenter: Told
    plan: RunPlan
    outputs: list[Output]
    schedule: Schedule
    counting: Counting

    def account(
        self,
        console: Console | None,
        remarks: Sequence[str] = (),
        called: str | None = None,
        before: Sequence[Entry] = (),
    ) -> Account:
        """What tells of the run.

        Args:
            console: where status lines go, None for nowhere.
            remarks: sentences to add to the report.
            called: see `Status`.
            before: see `Status`.
        """
        return Account(
            self.run,
            self.segmenter,
            self.plan,
            self.counting,
            console=console,
            remarks=remarks,
            before=before,
            called=called,
        )

    def conclude(self) -> None:
        """Writes what a run that nobody is told of writes at its end.

        Raises:
            SinkError: it cannot be written.
        """
        plot_counts(self.plan, self.counting, self.run.source.info.name)


def check(plan: RunPlan, read: Sequence[Path] = ()) -> None:
    """Refuses what cannot come about, before anything is opened or loaded.

    Args:
        plan: what is to be run.
        read: further files that no output may replace.

    Raises:
        StreamError: what, and what to do.
    """
    replayed = records_of(plan, live=is_live(plan.source))
    further = [*read, *(() if replayed is None else (replayed,))]
    check_reports([plan], further)
    check_numbered(plan)
    inputs = [*read_by(plan), *further]
    live, photos = is_live(plan.source), has_pictures(plan.source)
    for output in plan.outputs:
        check_output(output, inputs, live=live, photos=photos)
        refuse_unpainted(output.picture, plan.outputs, photos=photos)
    tracking.make(plan.tracking.tracker)
    plot = plot_of(plan)
    if plot is not None:
        taken = [*inputs, *(Path(one.target) for one in plan.outputs)]
        check_plot(plot, taken, overwrite=any(one.options.overwrite for one in plan.outputs))


@contextmanager
def prepared(
    plan: RunPlan,
    segmenter: Segmenter | None = None,
    on_frame: OnFrame | None = None,
    *,
    source: Source | None = None,
    turns: Turns | None = None,
    further: Sequence[Callable[[VideoInfo], Output]] = (),
    finding: Finding | None = None,
) -> Iterator[Prepared]:
    """Opens what a plan names, and lets go of it where the run never came to begin.

    Args:
        plan: what is to be run.
        segmenter: loaded already; None loads the plan's.
        on_frame: see `Run`.
        source: opened already; None opens the plan's.
        turns: where several live sources share the model, who may infer now.
        further: make outputs besides the plan's, once it is known what frames come.
        finding: gives what finds the objects; None for what the plan says.

    Raises:
        StreamError: source, model or an output cannot be used.
    """
    check(plan)
    with ExitStack() as stack:
        # The source first: that it is not there is known at once, a model takes a while to load.
        if source is None:
            source = sources.open(plan.source.target, plan.source.options)
        stack.callback(source.close)
        info = source.info
        for one in plan.outputs:
            refuse_many(one, info, plan.source.target)
        told, schedule = find_by(plan, info, segmenter, turns) if finding is None else finding(info)
        stack.callback(schedule.close)
        counting = Counting(plan.counts, info, keep_series=plan.counts.plot is not None)
        outputs = []
        cuts = Cuts(plan.live.part_minutes)
        patient = bool(further) or not all(map(is_recorded, plan.outputs))
        makers: list[Callable[[VideoInfo], Output]] = [
            *(partial(open_output, one, cuts=cuts, patient=patient) for one in plan.outputs),
            *further,
        ]
        for make in makers or [partial(open_output, OutputPlan(NOTHING))]:
            output = make(info)
            stack.callback(_let_go, output)
            output.sink.describe(about_of(told, plan))
            output.sink.conclude_with(counting.summary)
            outputs.append(output)
        # Counting alone, which nobody asked for, is no reason to infer what nobody looks at.
        unseen = on_frame is not None or plan.counts != CountOptions()
        numbered = are_numbered(plan, info)
        seen = counting.after(
            None if on_frame is None else with_instances(on_frame, told, numbered=numbered)
        )
        run = put_together(source, schedule, outputs, told, seen, unseen=unseen)
        try:
            yield Prepared(run, told, plan, outputs, schedule, counting)
        finally:
            if run.given_up:
                stack.pop_all()  # all was told to let go, and what hangs is not waited for


def put_together(
    source: Source,
    schedule: Schedule,
    outputs: Sequence[Output],
    told: Told,
    on_frame: OnFrame | None = None,
    *,
    unseen: bool | None = None,
) -> Run:
    """A run with the policy that suits its source."""
    return Run(
        source,
        schedule,
        outputs,
        policy=LIVE if source.info.live else OFFLINE,
        provider=told.provider,
        on_frame=on_frame,
        unseen=unseen,
    )


def _let_go(output: Output) -> None:
    if output.alive:
        output.sink.abort()


def execute(
    plan: RunPlan,
    *,
    console: Console | None = None,
    segmenter: Segmenter | None = None,
    on_frame: OnFrame | None = None,
    remarks: Sequence[str] = (),
    finding: Finding | None = None,
    which: str = "",
    opened: Callable[[], Source] | None = None,
) -> tuple[RunReport, Outcome]:
    """Runs a plan to its end, with progress, Ctrl-C, keys of windows, and the live report file.

    Args:
        plan: what is to be run.
        console: where the progress line goes; None shows none.
        segmenter: loaded already; None loads the plan's.
        on_frame: see `Run`.
        remarks: sentences to add to the report.
        finding: see `prepared`.
        which: of several runs it is, as the progress line begins: "2 of 3: ".
        opened: opens the source; None opens the plan's.

    Returns:
        The figures, and how it ended, errors of the run and of its plot included.

    Raises:
        StreamError: the run could not begin.
    """
    source = None
    if opened is not None:
        check(plan)
        source = opened()
    with prepared(plan, segmenter, on_frame, source=source, finding=finding) as ready:
        run = ready.run
        _connect(ready)
        vain = unheeded(plan.source) + unused(
            plan.outputs,
            photos=bool(run.source.info.pictures),
            model=plan.model,
            recording=plan.live,
            live=run.source.info.live,
            counts=plan.counts,
        )
        account = ready.account(console, [*remarks, *_said_of(ready, segmenter), *vain])
        info, provider = run.source.info, ready.segmenter.provider
        line = ProgressLine(console, info, provider, lambda: run.counts, run.clock, which)

        with on_interrupt(run.stop, run.abort) as signals, pauses() as paused, line:

            def tick() -> None:
                paused.tick()
                line.update()
                account.tick()

            outcome = run.run(on_tick=tick)
        outcome.paused_seconds = min(paused.seconds, outcome.seconds)
        outcome.signalled = signals[0] if outcome.interrupted and signals else None
        report = account.finish(outcome)
    if outcome.error is not None and not isinstance(outcome.error, StreamError):
        raise outcome.error
    return report, outcome


def _said_of(ready: Prepared, segmenter: Segmenter | None) -> Sequence[str]:
    """What there is to be said of what finds the objects; of records the schedule says it."""
    known = segmenter is not None or isinstance(ready.segmenter, Schedule)
    return () if known else ready.segmenter.remarks


def _connect(ready: Prepared) -> None:
    """Gives windows their keys."""
    if not any(output.sink.shows for output in ready.outputs):
        return
    # What a window needs is loaded only where there is one.
    from stream.run.keys import Keys
    from stream.sinks.window import WindowSink

    for output, plan in zip(ready.outputs, ready.plan.outputs, strict=False):
        if isinstance(output.sink, WindowSink):
            controls = Controls(
                ready.run, ready.segmenter, output, plan.picture, recorder(ready, plan)
            )
            output.sink.connect(Keys(controls, output.sink, folder=Path.cwd()).press)


def recorder(ready: Prepared, plan: OutputPlan) -> Callable[[Path, PictureOptions], Output]:
    """Makes outputs that record to a path what a display shows."""

    def record(path: Path, picture: PictureOptions) -> Output:
        options = replace(plan.options, overwrite=False)
        asked = replace(plan, target=str(path), options=options, picture=picture)
        return open_output(asked, ready.run.info, Cuts(ready.plan.live.part_minutes))

    return record
