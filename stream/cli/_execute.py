"""Carries out a plan with the runners that there are."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from stream.cli._hints import PICTURE_ENDINGS, is_address
from stream.errors import UsageError
from stream.options import CameraOptions, ModelOptions, OutputOptions
from stream.pipeline import Outcome
from stream.report import RunReport
from stream.run.plan import OutputPlan, RunPlan, SourcePlan

if TYPE_CHECKING:
    from stream.inference.segmenter import Segmenter
    from stream.sources.base import Source

WINDOW = "window"
CAMERA = "camera"
PATTERN = "pattern"


def is_live(source: SourcePlan) -> bool:
    """Whether a source goes on by itself: a camera, a network source, a file played like one."""
    if not isinstance(source.target, str):
        return False
    return (
        source.options.camera.as_camera
        or source.target in (CAMERA, PATTERN)
        or source.target.isdecimal()
        or source.target.startswith("/dev/")
        or is_address(source.target)
    )


def has_pictures(source: SourcePlan) -> bool:
    """Whether a source is photos."""
    if isinstance(source.target, str):
        return Path(source.target).suffix.lower() in PICTURE_ENDINGS
    return True


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

        return run_live(plan, open_live(plan.source), segmenter, console)
    files = [one for one in plan.outputs if one.target != WINDOW]
    if len(files) != 1:
        raise UsageError(f"a file goes to one output, not {len(files)}")
    source = _open(plan.source)
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
    from stream.compositing.compositor import Compositor
    from stream.compositing.looks import Options
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
        Compositor(output.picture.look, Options(opacity=output.picture.opacity)),
        output=output.target,
        timing=shows_timing(output, one=not pictures or source.info.frames == 1),
        console=console,
        extra_remarks=remarks,
        every=every,
        steady=plan.tracking.steady and plan.tracking.tracker != "none" and not pictures,
    )


def shows_timing(output: OutputPlan, *, one: bool = True) -> bool:
    """Whether the timing panel is painted: as was asked, else on overlays of films."""
    asked = output.picture.timing
    return asked if asked is not None else one and output.picture.look == "overlay"


def _open(plan: SourcePlan) -> Source:
    if has_pictures(plan):
        from stream.sources.images import ImagesSource

        return ImagesSource([plan.target] if isinstance(plan.target, str) else plan.target)
    from stream.sources.file import FileSource

    cut = plan.options.cut
    return FileSource(str(plan.target), start=cut.start, end=cut.end, limit=cut.limit)


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


def open_live(plan: SourcePlan) -> Source:
    """A camera, the pattern, a file played like a camera, or a network source."""
    target = str(plan.target)
    camera, network = plan.options.camera, plan.options.network
    if is_address(target):
        from stream.sources.network import NetworkSource, Patience

        patience = Patience(network.open_timeout, network.read_timeout, network.give_up)
        return NetworkSource(target, transport=network.transport, patience=patience)
    return _open_camera(target, camera)


def _open_camera(target: str, asked: CameraOptions) -> Source:
    rate = None if asked.fps is None else Fraction(asked.fps).limit_denominator(1001)
    if asked.as_camera:
        from stream.sources.file import FileSource
        from stream.sources.looped import LoopedSource

        path = asked.device or target
        return LoopedSource(lambda: FileSource(path), rate=rate)
    if target == PATTERN:
        from stream.sources.looped import LoopedSource
        from stream.sources.pattern import PatternSource

        width, height = asked.size or (640, 480)
        return LoopedSource(lambda: PatternSource(width, height, rate or 30))
    from stream.sources.camera import CameraSource, find_cameras, pick_camera

    named = asked.device or (None if target == CAMERA else target)
    return CameraSource(pick_camera(named, find_cameras()), size=asked.size, rate=asked.fps)
