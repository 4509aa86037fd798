"""`stream image`: photos in, segmented photos out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.commands import common
from stream.errors import StreamError
from stream.interrupt import EXIT_CODE
from stream.report import print_report, write_report
from stream.runs import run_video


def image(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT…", help="Pictures, folders of them, or globs ('*.jpg')."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUTPUT",
            help="The picture to write (.png, .jpg, .webp, …), or a folder for several.",
        ),
    ],
    model: common.ModelOption = "default",
    provider: common.ProviderOption = common.Provider.AUTO,
    threshold: common.ThresholdOption = None,
    mask_threshold: common.MaskThresholdOption = None,
    classes: common.ClassesOption = None,
    look: common.LookOption = common.Look.OVERLAY,
    timing: common.TimingOption = False,
    overwrite: common.OverwriteOption = False,
    report: common.ReportOption = None,
    quiet: common.QuietOption = False,
    verbose: common.VerboseOption = False,
) -> None:
    """Segment pictures: a photo, a folder of photos or a glob."""
    common.set_verbosity(quiet=quiet, verbose=verbose)
    from stream.sinks.images import ImageSink
    from stream.sources.images import ImagesSource

    source = ImagesSource(inputs)
    with common.released_on_error(source):
        sink = ImageSink(output, source.paths, overwrite=overwrite)
        segmenter = common.load_segmenter(model, provider, threshold, mask_threshold, classes)
        painter = common.make_painter(look, timing)
    figures, outcome = run_video(
        source,
        sink,
        segmenter,
        painter,
        output=str(output),
        console=common.progress_console(quiet=quiet),
        extra_remarks=segmenter.remarks,
    )
    if outcome.error is not None and not isinstance(outcome.error, StreamError):
        raise outcome.error
    if not quiet:
        print_report(common.results, figures)
    if report is not None:
        write_report(report, [figures])
    if outcome.error is not None:
        raise outcome.error
    if outcome.interrupted:
        raise typer.Exit(EXIT_CODE)
    if figures.corrupt:
        raise typer.Exit(1)
