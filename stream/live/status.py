"""What a live run says of itself while it goes on."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from rich.console import Console

from stream.errors import SinkError
from stream.live.panel import CAPTURE_TO_DISPLAY
from stream.live.run import LiveRun
from stream.report import RunReport, machine, run_report, write_json
from stream.timing import Clock
from stream.version import __version__

if TYPE_CHECKING:
    from stream.inference.segmenter import Segmenter

STATUS_SECONDS = 60.0
"""Between two status lines."""

REPORT_SECONDS = 10.0
"""Between two states of the report file."""


class Status:
    """Writes status lines and keeps the report file up to date.

    Args:
        run: whose figures these are.
        clock: the run's.
        segmenter: the run's.
        source: the source's name, without secrets.
        console: where status lines go; none are written to a terminal, where the window or the
            progress line says it.
        report: the report file, or None.
    """

    def __init__(
        self,
        run: LiveRun,
        clock: Clock,
        segmenter: Segmenter,
        *,
        source: str,
        console: Console,
        report: Path | None,
    ) -> None:
        self._run = run
        self._clock = clock
        self._segmenter = segmenter
        self._source = source
        self._console = console
        self._report = report
        self._said = self._written = time.monotonic()
        self._frames_said = 0
        self._report_problem: str | None = None
        self._machine: dict[str, Any] | None = None

    def tick(self) -> None:
        """Says and writes what is due."""
        now = time.monotonic()
        if now - self._said >= STATUS_SECONDS and not self._console.is_terminal:
            self._console.print(self.line(now - self._said), highlight=False, markup=False)
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
        memory = psutil.Process().memory_info().rss / 2**20
        return (
            f"{time.strftime('%Y-%m-%d %H:%M:%S')} {self._source}: {fps:.1f} fps, "
            f"latency {1e3 * latency:.0f} ms, {run.dropped} dropped, "
            f"{run.reconnects} reconnects, {memory:.0f} MiB"
        )

    def figures(self) -> RunReport:
        """The run's figures as they stand."""
        run = self._run
        names = [str(one.path) for one in run.recordings]
        if run.recording is not None:
            names.append(str(run.recording))
        metadata: Any = self._segmenter.metadata
        return run_report(
            source=self._source,
            output=", ".join(names) or "display",
            model=self._segmenter.name,
            precision=metadata.precision,
            provider=self._segmenter.provider,
            outcome=run.outcome(),
            stages=self._clock.figures(),
            remarks=[*self._segmenter.remarks, *run.source_remarks, *run.remarks, *self._life()],
        )

    def _life(self) -> list[str]:
        run = self._run
        found = [
            f"{run.inferred} frames shown with their own inference, {run.carried} with masks "
            "carried by motion"
        ]
        return found

    def write(self, *, finished: bool) -> None:
        """Writes the report file, if one was asked for.

        Raises:
            SinkError: it cannot be written.
        """
        if self._report is None:
            return
        run = self._run
        # The machine is the same all day; asking for it costs a process's start on some systems.
        self._machine = self._machine or machine()
        live = {
            "finished": finished,
            "inferred": run.inferred,
            "carried": run.carried,
            "reconnects": run.reconnects,
            "recordings": [
                {"path": str(one.path), "frames": one.frames, "dropped": one.dropped}
                for one in run.recordings
            ],
        }
        write_json(
            self._report,
            {
                "stream": __version__,
                "machine": self._machine,
                "runs": [asdict(self.figures()) | {"live": live}],
            },
        )

    def _try_writing(self) -> None:
        """A report that cannot be written now must not end a run of days; it is said once."""
        try:
            self.write(finished=False)
        except SinkError as error:
            if str(error) != self._report_problem:
                self._report_problem = str(error)
                self._console.print(str(error), highlight=False, markup=False)
