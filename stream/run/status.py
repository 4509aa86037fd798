"""What a live run says of itself while it goes on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from stream.errors import SinkError
from stream.run.about import Told
from stream.run.counting import Counting
from stream.run.figures import Outcome
from stream.run.output import Output
from stream.run.report import RunReport, machine, run_report, write_json
from stream.run.run import Run
from stream.sinks.nothing import NOTHING
from stream.system.memory import resident
from stream.timing import CAPTURE_TO_DISPLAY
from stream.types import JSON
from stream.version import __version__
from stream.wording.words import counted, visible

if TYPE_CHECKING:
    from rich.console import Console

STATUS_SECONDS = 60.0
"""Between two status lines."""

REPORT_SECONDS = 10.0
"""Between two states of the report file."""

Entry: TypeAlias = dict[str, Any]
"""A run in the report file, as JSON."""


class Status:
    """Writes status lines and keeps the report file up to date.

    Displays show what of those is about outputs that have failed.

    Args:
        run: whose figures these are.
        segmenter: the run's.
        console: where status lines go, None for nowhere; none are written to a terminal, where the
            window or the progress line says it.
        report: the report file, or None.
        counting: what was counted, for the report.
        plot: where that is drawn, if it is.
        remarks: sentences to add to those of the run, and to those of what finds the objects that
            come on the way.
        before: what an earlier report said of runs that this one continues, which stays in it.
        called: what its lines call the source, where there are several; None for its own name,
            which cameras of one kind share.
    """

    def __init__(
        self,
        run: Run,
        segmenter: Told,
        *,
        console: Console | None,
        report: Path | None,
        counting: Counting | None = None,
        plot: Path | None = None,
        remarks: Sequence[str] = (),
        before: Sequence[Entry] = (),
        called: str | None = None,
    ) -> None:
        self._run, self._before = run, before
        self._clock = run.clock
        self._segmenter = segmenter
        self._source = run.source.info.name
        self._called = called or self._source
        self._remarks = tuple(remarks)
        self._known = segmenter.remarks
        self._console = console
        self._report = report
        self._counting = counting
        self._plot = plot
        self._said = self._written = time.monotonic()
        self._frames_said = 0
        self._report_problem: str | None = None
        self._failed_before: list[str] = []
        self._machine: dict[str, JSON] | None = None

    def tick(self) -> None:
        """Says and writes what is due."""
        now = time.monotonic()
        console = self._console
        failed, due = self._failed(), now - self._said >= STATUS_SECONDS
        # On displays at once, and again as long as it lasts.
        told = failed if due else [one for one in failed if one not in self._failed_before]
        if told:
            self._run.say("; ".join(told))
        self._failed_before = failed
        if due:
            if console is not None and not console.is_terminal:
                console.print(visible(self.line(now - self._said)), highlight=False, markup=False)
            self._said = now
            self._frames_said = self._run.counts.frames_out
        if self._report is not None and now - self._written >= REPORT_SECONDS:
            self._written = now
            self._try_writing()

    def line(self, seconds: float) -> str:
        """The state over the last so many seconds, as one line."""
        run = self._run
        fps = (run.counts.frames_out - self._frames_said) / max(seconds, 1e-9)
        latency = self._clock.recent().get(CAPTURE_TO_DISPLAY, 0.0)
        memory = resident() / 2**20
        return (
            f"{time.strftime('%Y-%m-%d %H:%M:%S')} {self._called}: {fps:.1f} fps, "
            f"latency {1e3 * latency:.0f} ms, {run.counts.dropped} dropped, "
            f"{counted(run.reconnects, 'reconnect')}, {memory:.0f} MiB"
            + "".join(f"; {error}" for error in self._failed())
        )

    def _failed(self) -> list[str]:
        """Why outputs do not go on, a sentence each: nobody saw it days ago when it was said."""
        return [one.problem for one in self._run.outputs if one.problem is not None]

    def figures(self, outcome: Outcome | None = None) -> RunReport:
        """The run's figures.

        Args:
            outcome: how it ended; None for the figures as they stand.
        """
        run, counting = self._run, self._counting
        counted = [] if counting is None else counting.remarks
        # What it says of itself may come with the pictures.
        later = [one for one in self._segmenter.remarks if one not in self._known]
        return run_report(
            source=self._source,
            output=", ".join(self._made()),
            model=self._segmenter.name,
            precision=self._segmenter.precision,
            provider=self._segmenter.provider,
            views=self._segmenter.views,
            outcome=run.outcome() if outcome is None else outcome,
            stages=self._clock.figures(),
            remarks=list(dict.fromkeys([*self._remarks, *later, *run.all_remarks, *counted])),
            counted=None if counting is None else counting.summary(),
        )

    def _made(self) -> list[str]:
        """What the run makes, by name."""
        names = [one.name for one in self._run.outputs]
        if self._plot is None:
            return names
        return [*(one for one in names if one != NOTHING), str(self._plot)]

    def write(self, outcome: Outcome | None = None) -> None:
        """Writes the report file, if one was asked for.

        Args:
            outcome: how the run ended; None while it goes on.

        Raises:
            SinkError: it cannot be written.
        """
        if self._report is None:
            return
        # The machine is the same all day; asking for it costs a process's start on some systems.
        self._machine = self._machine or machine()
        write_json(
            self._report,
            {
                "stream": __version__,
                "machine": self._machine,
                "runs": [*self._before, self.entry(outcome)],
            },
        )

    def entry(self, outcome: Outcome | None = None) -> Entry:
        """What the report file says of the run.

        Args:
            outcome: how it ended; None while it goes on.
        """
        run = self._run
        live = {
            "finished": outcome is not None,
            "inferred": run.counts.inferred,
            "carried": run.counts.propagated,
            "reconnects": run.reconnects,
            "recordings": [_recording(one) for one in run.outputs if not one.sink.shows],
        }
        return asdict(self.figures(outcome)) | {"live": live}

    def finish(self, outcome: Outcome) -> None:
        """Writes the report file for the last time.

        Args:
            outcome: of the run, which counts as failed where this fails.
        """
        try:
            self.write(outcome)
        except SinkError as error:
            self.fail(outcome, error)

    def fail(self, outcome: Outcome, error: SinkError) -> None:
        """Makes a run count as failed; what it failed by before is told all the same."""
        if outcome.error is None:
            outcome.error = error
        else:
            self._remarks = (*self._remarks, str(error))

    def _try_writing(self) -> None:
        """A report that cannot be written now must not end a run of days; it is said once."""
        try:
            self.write()
        except SinkError as error:
            if str(error) != self._report_problem:
                self._report_problem = str(error)
                if self._console is not None:
                    self._console.print(visible(str(error)), highlight=False, markup=False)


def _recording(output: Output) -> dict[str, JSON]:
    return {
        "path": output.name,
        "frames": output.figures.frames,
        "dropped": output.figures.dropped + output.figures.unpainted,
        "missed": output.figures.missed,
        "error": output.problem,
    }
