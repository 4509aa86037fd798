"""Carries out a plan with the runners that there are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

# OpenCV must be loaded before PyAV, which the runners load, or its windows hang on Linux: see
# `opencv_came_first` in stream/sinks/window.py.
import cv2 as _cv2  # noqa: F401
from rich.console import Console

from stream.cli._hints import is_address
from stream.compositing import Painter, Style
from stream.errors import UsageError
from stream.options import ModelOptions, OutputOptions
from stream.pipeline import Outcome
from stream.report import RunReport
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.sources import kind_of
from stream.sources import open as open_target
from stream.sources.images import ImagesSource

if TYPE_CHECKING:
    from stream.inference.segmenter import Segmenter
    from stream.sources.base import Source

WINDOW = "window"


def is_live(source: SourcePlan) -> bool:
    """Whether a source goes on by itself: a camera, a network source, a file played like one."""
    return source.options.camera.as_camera or kind_of(source.target).live


def has_pictures(source: SourcePlan) -> bool:
    """Whether a source is photos."""
    return issubclass(kind_of(source.target), ImagesSource)


def open_source(source: SourcePlan) -> Source:
    """Opens a plan's source.

    Raises:
        StreamError: it cannot be opened as asked for.
    """
    return open_target(source.target, source.options)


def load_segmenter(model: ModelOptions, *, footage: bool = False) -> Segmenter:
    """Loads the model with what the options ask of it; `footage` as in `Segmenter.load`."""
    from stream.inference.segmenter import Segmenter

    return Segmenter.load(
        model.model,
        provider=model.provider,
        threshold=model.threshold,
        mask_threshold=model.mask_threshold,
        classes=model.classes,
        footage=footage,
    )


def check(plan: RunPlan) -> None:
    """Refuses a plan's outputs before any work.

    Raises:
        StreamError: an output cannot be written, or exists already.
    """
    from stream.sinks.video import check_output

    source = None if is_live(plan.source) else str(plan.source.target)
    for output in plan.outputs:
        painter_of(output)
        if output.target == WINDOW or has_pictures(plan.source):
            continue
        if is_address(output.target):
            raise UsageError(f"{output.target} is an address; a result can only go to a file")
        how = output.options
        check_output(
            output.target,
            source=source,
            codec=how.codec,
            crf=how.crf,
            preset=how.preset,
            overwrite=how.overwrite,
        )


def execute(
    plan: RunPlan,
    *,
    segmenter: Segmenter | None = None,
    console: Console,
    remarks: Sequence[str] = (),
) -> tuple[RunReport, Outcome]:
    """Does what a plan says.

    Args:
        plan: the run.
        segmenter: loaded already; None loads what the plan names.
        console: where progress goes.
        remarks: sentences for the report, besides those of source and sink.

    Raises:
        StreamError: source, model or outputs cannot be used.
    """
    if is_live(plan.source):
        from stream.cli._live import run_live

        return run_live(plan, open_source(plan.source), segmenter, console)
    files = [one for one in plan.outputs if one.target != WINDOW]
    if len(files) != 1:
        raise UsageError(f"a file goes to one output, not {len(files)}")
    source = open_source(plan.source)
    try:
        sink = _sink(source, files[0])
        pictures = has_pictures(plan.source)
        segmenter = segmenter or load_segmenter(plan.model, footage=not pictures)
        return _run(plan, source, sink, segmenter, files[0], console, remarks)
    except BaseException:
        source.close()
        raise


def _run(
    plan: RunPlan,
    source: Any,
    sink: Any,
    segmenter: Segmenter,
    output: OutputPlan,
    console: Console,
    remarks: Sequence[str],
) -> tuple[RunReport, Outcome]:
    from stream.motion.every import Every
    from stream.runs import run_video

    pictures = has_pictures(plan.source)
    number = plan.model.every
    every = None
    if number not in (None, 1) and not pictures:
        wanted = None if number == "auto" else number
        every = Every(wanted, source.info.rate, segmenter.lanes)
    return run_video(
        source,
        sink,
        segmenter,
        painter_of(output, several=pictures and source.info.frames != 1),
        output=output.target,
        console=console,
        extra_remarks=remarks,
        every=every,
        steady=plan.tracking.steady and plan.tracking.tracker != "none" and not pictures,
    )


def painter_of(output: OutputPlan, *, several: bool = False) -> Painter:
    """What paints an output; the timing panel is not on several photos unless it was asked for.

    Raises:
        UsageError: there is no such look, or a colour or word is none.
    """
    picture = output.picture
    timing = False if several and picture.timing is None else picture.timing
    return Painter(picture.look, Style.from_options(picture), timing)


def _sink(source: Any, output: OutputPlan) -> Any:
    if hasattr(source, "paths"):
        from stream.sinks.images import ImageSink

        return ImageSink(output.target, source.paths, overwrite=output.options.overwrite)
    return open_file(output.target, source.info, output.options)


def open_file(path: str | Path, info: Any, options: OutputOptions) -> Any:
    """A video file as a sink."""
    from stream.sinks.video import VideoSink

    return VideoSink(
        path,
        info,
        codec=options.codec,
        crf=options.crf,
        preset=options.preset,
        overwrite=options.overwrite,
    )
