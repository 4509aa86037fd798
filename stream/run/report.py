"""The figures of a run: the table at the end and the report file (docs/report.md)."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stream.disk.files import beginning_of, write_whole
from stream.errors import SinkError
from stream.run.figures import Counts, Found, Outcome
from stream.system.cpu import processor
from stream.system.memory import installed, resident
from stream.timing import LABELS, StageFigures
from stream.types import JSON
from stream.version import __version__
from stream.wording.tables import show_table
from stream.wording.words import called, counted, visible

if TYPE_CHECKING:
    from rich.console import Console

# How files of figures begin.
_OURS = re.compile(rb'\s*\{\s*"stream": "')
_HEAD = 64

NO_MODEL = "none"
"""The provider where nothing was inferred; behind a comma, what was done instead."""


@dataclass(frozen=True, slots=True, repr=False)
class RunReport:
    """One input's run, as it goes into the report file.

    `seconds` is wall time from the first thread's start to the finished output; `fps` is frames
    out over that, without what Ctrl-Z paused it for. The other names mean what `docs/report.md`
    says.
    """

    input: str
    output: str
    model: str
    precision: str
    provider: str
    frames_in: int
    frames_out: int
    dropped: int
    corrupt: int
    seconds: float
    paused_seconds: float
    fps: float
    first_frame_seconds: float | None
    media_seconds: float
    stages: dict[str, StageFigures]
    queues: list[dict[str, str | int]]
    memory_mib: float
    interrupted: bool
    views: int = 1
    found: dict[str, Found] = field(default_factory=dict)
    found_frames: int = 0
    counts: dict[str, JSON] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    error: str | None = None
    unsaved: int = 0

    def __repr__(self) -> str:
        lines = [f"RunReport: {self.input} → {self.output}", figures_line(self), found_line(self)]
        lines += [*count_lines(self.counts), model_line(self)]
        lines += [f"note: {remark}" for remark in self.remarks]
        if self.error is not None:
            lines.append(f"error: {self.error}")
        return "\n  ".join(map(visible, lines))


def run_report(
    *,
    source: str,
    output: str,
    model: str,
    precision: str,
    provider: str,
    views: int = 1,
    outcome: Outcome,
    stages: dict[str, StageFigures],
    remarks: Sequence[str],
    counted: dict[str, JSON] | None = None,
) -> RunReport:
    """Puts together one run's figures."""
    counts = outcome.counts
    worked = outcome.seconds - outcome.paused_seconds
    return RunReport(
        input=source,
        output=output,
        model=model,
        precision=precision,
        provider=provider,
        frames_in=counts.frames_in,
        frames_out=counts.frames_out,
        dropped=counts.dropped,
        corrupt=counts.corrupt,
        seconds=outcome.seconds,
        paused_seconds=outcome.paused_seconds,
        fps=counts.frames_out / worked if worked > 0 else 0.0,
        first_frame_seconds=outcome.first_frame_seconds,
        media_seconds=counts.media_seconds,
        stages=stages,
        queues=outcome.queues,
        memory_mib=resident() / 2**20,
        interrupted=outcome.interrupted,
        views=views,
        found=outcome.found,
        found_frames=outcome.found_frames,
        counts=counted or {},
        remarks=list(remarks),
        error=None if outcome.error is None else str(outcome.error),
        unsaved=counts.unsaved,
    )


def failed_report(source: str, output: str, model: str, provider: str, error: str) -> RunReport:
    """The entry of an input that could not be run at all."""
    outcome = Outcome(Counts(), 0.0, None, interrupted=False)
    report = run_report(
        source=source,
        output=output,
        model=model,
        precision="",
        provider=provider,
        outcome=outcome,
        stages={},
        remarks=(),
    )
    return replace(report, error=error)


def machine() -> dict[str, JSON]:
    """What machine this is, for figures that are to mean something."""
    memory = installed()
    return {
        "processor": processor().model,
        "cores": os.cpu_count(),
        "memory_gib": None if memory is None else round(memory[1] / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def write_report(path: Path, runs: Sequence[RunReport]) -> None:
    """Writes the report file, replacing an older one whole.

    Raises:
        SinkError: it cannot be written.
    """
    report = {
        "stream": __version__,
        "machine": machine(),
        "runs": [asdict(run) for run in runs],
    }
    write_json(path, report)


def is_report(path: Path) -> bool:
    """Whether figures may be written to a file: it is not there, empty, a device or figures too.

    Raises:
        SinkError: it cannot be read.
    """
    head = beginning_of(path, _HEAD, "report")
    return not head or _OURS.match(head) is not None


def write_json(path: Path, value: object) -> None:
    """Writes JSON to a file, replacing an older one whole, never half.

    Raises:
        SinkError: it cannot be written, or a file of another kind has come to be there.
    """
    if not is_report(path):
        raise SinkError(f"cannot write the report {path}: a file of another kind is there")
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    try:
        # File names that are not UTF-8 come from the system as lone surrogates.
        write_whole(path, text.encode("utf-8", "backslashreplace"), overwrite=True)
    except OSError as error:
        raise SinkError(f"cannot write the report {path}: {error.strerror or error}") from error


def print_report(console: Console, run: RunReport) -> None:
    """Prints the table of a run and what is to be said about it."""
    from rich.table import Table
    from rich.text import Text

    title = Text(visible(f"{run.input} → {run.output}"))
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("stage")
    for column in ("p50 ms", "p95 ms", "max ms"):
        table.add_column(column, justify="right")
    for name, figures in run.stages.items():
        table.add_row(
            LABELS.get(name, name),
            *(f"{ms:.2f}" for ms in (figures.p50_ms, figures.p95_ms, figures.max_ms)),
        )
    show_table(console, table)
    console.print(figures_line(run), highlight=False)
    console.print(Text(visible(found_line(run))))
    for line in count_lines(run.counts):
        console.print(Text(visible(line)))
    console.print(Text(visible(model_line(run))))
    for remark in run.remarks:
        console.print(Text(f"note: {visible(remark)}", style="yellow"))


def figures_line(run: RunReport) -> str:
    """How fast it was, and what became of its frames, as one line."""
    paused = f" ({run.paused_seconds:.1f} s of them paused)" if run.paused_seconds >= 0.1 else ""
    return (
        f"{run.fps:.1f} fps, {counted(run.frames_in, 'frame')} in, {run.frames_out} out, "
        f"{run.dropped} dropped, {run.corrupt} corrupt, {run.seconds:.1f} s{paused}"
    )


def model_line(run: RunReport) -> str:
    """What found the objects, and on what it ran, as one line."""
    if run.provider.startswith(f"{NO_MODEL}, "):
        return f"no model{run.provider.removeprefix(NO_MODEL)}"
    looked = f", {run.views} looks at each picture" if run.views > 1 else ""
    return f"model {run.model}, provider {run.provider}{looked}"


def count_lines(counts: Mapping[str, JSON]) -> list[str]:
    """What was counted at lines and zones, a line each: "door: 3 person in, 1 person out"."""
    found: list[str] = []
    for one in _listed(counts.get("lines")):
        found.append(f"{one['name']}: {_said(one['in'])} in, {_said(one['out'])} out")
    for one in _listed(counts.get("zones")):
        seconds = one["seconds"]
        together = sum(seconds.values()) if isinstance(seconds, dict) else 0  # type: ignore[arg-type]
        found.append(
            f"{one['name']}: {_said(one['objects'])} in it, {one['most']} at once, "
            f"{together:.1f} s together"
        )
    return found


def _listed(value: JSON | None) -> list[dict[str, JSON]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _said(counts: JSON) -> str:
    named = counts.items() if isinstance(counts, dict) else ()
    return ", ".join(f"{number} {called(name)}" for name, number in named) or "none"


def found_line(run: RunReport) -> str:
    """What was found, as one line: "1 person, 2 dog, in 240 of 240 frames"."""
    if run.views and run.frames_out and not {"infer", "motion"} & run.stages.keys():
        return "nothing was looked for, as nobody watched"
    looked = counted(run.frames_out + run.unsaved, "frame")
    if run.unsaved:
        looked += " that were looked at"
    if not run.found:
        return f"nothing found in {looked}"
    parts = [f"{one.objects} {called(name)}" for name, one in run.found.items() if one.objects]
    return f"{', '.join(parts)}, in {run.found_frames} of {looked}"
