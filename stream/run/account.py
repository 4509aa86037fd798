"""What is told of a run while it goes on and once it has ended: status lines, report, plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stream.errors import SinkError
from stream.run.about import Told
from stream.run.counting import Counting
from stream.run.figures import Outcome
from stream.run.guard import report_of
from stream.run.plan import RunPlan
from stream.run.plot import plot_of, write_plot
from stream.run.report import RunReport
from stream.run.run import Run
from stream.run.status import Entry, Status

if TYPE_CHECKING:
    from rich.console import Console


class Account:
    """Tells of a run whatever its plan wants told, and ends it when its time is up.

    Args:
        run: whose figures these are.
        told: what finds its objects.
        plan: what is run.
        counting: what was counted.
        console: where status lines go, None for nowhere.
        remarks: sentences to add to the report.
        before: see `Status`.
        called: see `Status`.
    """

    def __init__(
        self,
        run: Run,
        told: Told,
        plan: RunPlan,
        counting: Counting,
        *,
        console: Console | None,
        remarks: Sequence[str] = (),
        before: Sequence[Entry] = (),
        called: str | None = None,
    ) -> None:
        self._run = run
        self._plan = plan
        self._counting = counting
        # The report of footage is written by whoever goes through it, with others in one file.
        report = report_of(plan) if run.source.info.live else None
        self._status = Status(
            run,
            told,
            console=console,
            report=report,
            counting=counting,
            plot=plot_of(plan),
            remarks=remarks,
            before=before,
            called=called,
        )

    def tick(self) -> None:
        """Says and writes what is due of a live run, and stops it after the seconds asked for."""
        if not self._run.source.info.live:
            return
        self._status.tick()
        seconds = self._plan.live.seconds
        if seconds is not None and self._run.outcome().seconds >= seconds:
            self._run.stop()

    def finish(self, outcome: Outcome) -> RunReport:
        """Writes what is written once the run has ended: the plot, then the report of a live run.

        Args:
            outcome: how it ended. What cannot be written becomes its error; of several, the first,
                and the report's remarks say the others.

        Returns:
            The run's figures.
        """
        try:
            plot_counts(self._plan, self._counting, self._run.source.info.name)
        except SinkError as error:
            self._status.fail(outcome, error)
        self._status.finish(outcome)
        return self._status.figures(outcome)

    def entry(self, outcome: Outcome) -> Entry:
        """What the report file says of the run, for that of the run which continues it.

        Args:
            outcome: how it ended.
        """
        return self._status.entry(outcome)


def plot_counts(plan: RunPlan, counting: Counting, name: str) -> None:
    """Draws what was counted, if the plan wants it drawn.

    Args:
        plan: of the run.
        counting: what was counted.
        name: the source's, the title.

    Raises:
        SinkError: it cannot be written.
    """
    path = plot_of(plan)
    if path is not None and counting.series is not None:
        overwrite = any(one.options.overwrite for one in plan.outputs)
        write_plot(path, counting.series, name, overwrite=overwrite)
