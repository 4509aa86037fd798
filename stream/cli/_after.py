"""What is said when a run is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stream.cli import _common as common
from stream.run.plan import RunPlan
from stream.run.report import RunReport, found_line, print_report
from stream.settings.options import ModelOptions
from stream.wording.words import counted, visible

_AUTO = "auto chose"
"""How the note begins that says which provider `auto` took; the figures name it anyway."""

_NAMED = 20
"""So many inputs that failed are named at the end; each was when it did."""

_FEW = 25
"""With fewer frames a speed says little."""


def report_run(report: RunReport, model: ModelOptions, *, live: bool = False) -> None:
    """Prints a run's figures, notes and, where the model is slow, advice."""
    print_report(common.results(), _without_chatter(report))
    # What is live has no other end.
    said = "" if live else stopped(report)
    if said:
        common.say(said)
    hint = advice(report, model, live=live)
    if hint:
        from rich.text import Text

        common.results().print(Text(f"hint: {hint}", style="yellow"))


def report_clip(
    report: RunReport, number: int, count: int, model: ModelOptions, *, live: bool = False
) -> None:
    """Prints one of many runs as a line, and what is to be said about it."""
    if common.verbosity.verbose:
        report_run(report, model, live=live)
        return
    from rich.text import Text

    print_line = common.results().print
    line = f"{number} of {count}: {report.input}"
    # The window of a source that was never there was none.
    line += f" → {report.output}" if report.output else ""
    if report.error is None:
        frames = counted(report.frames_out, "frame")
        line += f", {frames} in {report.seconds:.1f} s; {found_line(report)}"
    else:
        line += ", failed"
    print_line(Text(visible(line)))
    said = "" if live else stopped(report)
    if said:
        common.say(said)
    for remark in _without_chatter(report).remarks:
        print_line(Text(f"  note: {visible(remark)}", style="yellow"))


def report_source(
    plans: Sequence[RunPlan], place: int, report: RunReport | None, *, away: bool = False
) -> None:
    """Prints what one of a page's sources has done, unless it is to be quiet.

    Args:
        plans: of all sources.
        place: of this one.
        report: its figures; None where nothing is to be told.
        away: whether it has gone, and is to be opened again.
    """
    plan = plans[place]
    if report is None or plan.run.quiet:
        return
    if len(plans) == 1 and not away:
        report_run(report, plan.model, live=True)
    else:
        # Why it has gone was said when it did.
        told = replace(report, error=None) if away else report
        report_clip(told, place + 1, len(plans), plan.model, live=True)


def stopped(report: RunReport) -> str:
    """How far a run came that was stopped; else ""."""
    if not report.interrupted or report.error is not None:
        return ""
    seconds = f" ({report.media_seconds:.1f} s)" if report.media_seconds >= 0.05 else ""
    return f"stopped after {counted(report.frames_out, 'frame')}{seconds}"


def summary(written: int, skipped: int, failed: Sequence[str], total: int) -> list[str]:
    """What came of many inputs: a line, and another for those that failed."""
    parts = [f"{written} of {total} written"]
    if skipped:
        parts.append(f"{skipped} there already")
    lines = [", ".join(parts)]
    if failed:
        more = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
        named = ", ".join(failed[:_NAMED])
        lines.append(f"{len(failed)} of {counted(total, 'input')} failed: {named}{more}")
    return lines


def advice(report: RunReport, model: ModelOptions, *, live: bool) -> str:
    """What helps where the model is far below the source's rate; "" where it is not."""
    infer = report.stages.get("infer")
    if infer is None or report.frames_out < _FEW or report.media_seconds <= 0:
        return ""
    rate = (report.frames_out - 1) / report.media_seconds  # from the first frame to the last
    possible = 1e3 / infer.p50_ms if infer.p50_ms else rate  # a mean has pauses by Ctrl-Z in it
    if live:
        if possible >= rate / 3:
            return ""
        speed = f"the model answers {possible:.1f} times a second, the source has {rate:.0f} frames"
    else:
        if report.fps >= rate / 2 or model.every not in (None, 1):
            return ""
        speed = f"{report.fps:.1f} frames a second are far below the video's {rate:.0f}"
    ways = [] if live else ["--every auto (masks are carried by motion)"]
    ways += ["fewer --views"] if (model.views or 1) > 1 else []
    if Path(report.model).suffix == ".onnx":  # one of the user's own, exported by us
        ways += [] if report.precision == "int8" else ["an int8 model (`stream export quantize`)"]
        ways.append("a smaller --input-size, or --size when the model is exported")
    elif model.input_size:
        ways.append("a smaller --input-size")
    if not ways:
        return ""
    rest = f"{', '.join(ways[:-1])} or " if ways[1:] else ""
    return f"{speed}; what helps: {rest}{ways[-1]}"


def _without_chatter(report: RunReport) -> RunReport:
    if common.verbosity.verbose:
        return report
    return replace(report, remarks=[one for one in report.remarks if not one.startswith(_AUTO)])
