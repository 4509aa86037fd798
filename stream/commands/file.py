"""`stream file`: footage in, segmented footage out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from stream.commands import common
from stream.errors import StreamError, UsageError
from stream.interrupt import EXIT_CODE
from stream.report import RunReport, failed_report, print_report, write_report
from stream.runs import Task, match_outputs, run_video


def file(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT…", help="Video files, or folders of them.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUTPUT",
            help="The video to write; its ending chooses the container. "
            "A folder where there are several inputs.",
        ),
    ],
    model: common.ModelOption = "default",
    provider: common.ProviderOption = common.Provider.AUTO,
    threshold: common.ThresholdOption = None,
    mask_threshold: common.MaskThresholdOption = None,
    classes: common.ClassesOption = None,
    steady: common.SteadyOption = True,
    look: common.LookOption = common.Look.OVERLAY,
    timing: common.TimingOption = None,
    start: Annotated[
        float | None,
        typer.Option(min=0.0, help="Begin at this time, in seconds.", rich_help_panel="Input"),
    ] = None,
    end: Annotated[
        float | None,
        typer.Option(min=0.0, help="Stop before this time, in seconds.", rich_help_panel="Input"),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="FRAMES",
            help="Stop after this many frames of each input.",
            rich_help_panel="Input",
        ),
    ] = None,
    every: Annotated[
        str,
        typer.Option(
            metavar="N|auto",
            help="Run the model on every Nth frame and carry the masks to the others by motion. "
            "auto: on as many frames as real time allows, one in twelve at least.",
            rich_help_panel="Model",
        ),
    ] = "1",
    codec: common.CodecOption = None,
    crf: common.CrfOption = None,
    preset: common.PresetOption = None,
    overwrite: common.OverwriteOption = False,
    report: common.ReportOption = None,
    quiet: common.QuietOption = False,
    verbose: common.VerboseOption = False,
) -> None:
    """Segment video files: same length, sound, orientation and colours, with the masks in it."""
    common.set_verbosity(quiet=quiet, verbose=verbose)
    if start is not None and end is not None and end <= start:
        raise UsageError(f"--end {end:g} must be later than --start {start:g}")
    number = common.parse_every(every)
    from stream.motion.every import Every
    from stream.sinks.video import VideoSink, check_output
    from stream.sources.file import FileSource

    tasks = match_outputs(inputs, output)
    for task in tasks:
        if len(tasks) > 1 or output.is_dir():
            task.output.parent.mkdir(parents=True, exist_ok=True)
        check_output(
            task.output,
            source=task.source,
            codec=codec,
            crf=crf,
            preset=preset,
            overwrite=overwrite,
        )
    segmenter = common.load_segmenter(
        model, provider, threshold, mask_threshold, classes, footage=True
    )
    painter = common.make_painter(look, timing)

    def run(task: Task) -> tuple[RunReport, bool]:
        source = FileSource(task.source, start=start, end=end, limit=limit)
        with common.released_on_error(source):
            sink = VideoSink(
                task.output, source.info, codec=codec, crf=crf, preset=preset, overwrite=overwrite
            )
        figures, outcome = run_video(
            source,
            sink,
            segmenter,
            painter,
            output=str(task.output),
            console=common.progress_console(quiet=quiet),
            # Said once, not for every file of a folder.
            extra_remarks=segmenter.remarks if task is tasks[0] else (),
            every=None if number == 1 else Every(number, source.info.rate, segmenter.lanes),
            steady=steady,
        )
        if outcome.error is not None and not isinstance(outcome.error, StreamError):
            raise outcome.error
        return figures, outcome.interrupted

    def fail(task: Task, error: StreamError) -> RunReport:
        return failed_report(
            str(task.source), str(task.output), segmenter.name, segmenter.provider, str(error)
        )

    runs, failed, interrupted = _run_all(tasks, run, fail, quiet=quiet)
    if report is not None:
        write_report(report, runs)
    if interrupted:
        raise typer.Exit(EXIT_CODE)
    if failed:
        raise typer.Exit(1)


def _run_all(
    tasks: list[Task],
    run: Callable[[Task], tuple[RunReport, bool]],
    fail: Callable[[Task, StreamError], RunReport],
    *,
    quiet: bool,
) -> tuple[list[RunReport], int, bool]:
    """Runs each task; where there are several, one that fails does not keep back the others.

    Returns:
        The figures, how many tasks failed, and whether Ctrl-C ended the last.
    """
    runs: list[RunReport] = []
    failed = 0
    for task in tasks:
        try:
            figures, interrupted = run(task)
        except StreamError as error:
            if len(tasks) == 1:
                raise
            common.say_error(error)
            runs.append(fail(task, error))
            failed += 1
            continue
        runs.append(figures)
        if not quiet:
            print_report(common.results, figures)
        if figures.error is not None:
            common.say_error(figures.error)
            failed += 1
        if interrupted:
            return runs, failed, True
    if failed and len(tasks) > 1:
        common.say_error(f"{failed} of {len(tasks)} inputs failed")
    return runs, failed, False
