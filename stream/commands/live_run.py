"""What `stream webcam` and `stream url` do once the command line is read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stream.commands import common
from stream.errors import SinkError

if TYPE_CHECKING:
    from stream.frame import VideoInfo
    from stream.inference.segmenter import Segmenter
    from stream.sinks.base import Sink
    from stream.sinks.window import WindowSink
    from stream.sources.base import Source


@dataclass(frozen=True, slots=True)
class Options:
    """What `webcam` and `url` have in common, as the command line gave it."""

    model: str
    provider: common.Provider
    threshold: float | None
    mask_threshold: float | None
    classes: str | None
    steady: bool
    look: common.Look
    timing: bool | None
    every: int | None
    output: Path | None
    display: bool
    seconds: float | None
    codec: str | None
    crf: float | None
    preset: str | None
    overwrite: bool
    report: Path | None
    quiet: bool


def run_live(open_source: Callable[[], Source], options: Options) -> None:
    """Puts a live run together, runs it, and reports.

    Raises:
        StreamError: source, model or output cannot be used, or the run failed.
    """
    if options.display:
        # Before anything that loads PyAV: see `opencv_came_first`.
        from stream.sinks.window import why_no_window

        reason = why_no_window()
        if reason is not None:
            raise SinkError(reason)
    from stream.sinks.video import VideoSink, check_output

    if options.output is not None:
        check_output(
            options.output,
            codec=options.codec,
            crf=options.crf,
            preset=options.preset,
            overwrite=options.overwrite,
        )

    def open_sink(path: Path, info: VideoInfo) -> Sink:
        named = path == options.output
        return VideoSink(
            path,
            info,
            codec=options.codec,
            crf=options.crf,
            preset=options.preset,
            overwrite=named and options.overwrite,
        )

    # The source first: that it is not there is known at once, a model takes a while to load.
    source = open_source()
    with common.released_on_error(source):
        segmenter = common.load_segmenter(
            options.model,
            options.provider,
            options.threshold,
            options.mask_threshold,
            options.classes,
        )
        _run_source(source, segmenter, options, open_sink)


def _run_source(
    source: Source,
    segmenter: Segmenter,
    options: Options,
    open_sink: Callable[[Path, VideoInfo], Sink],
) -> None:
    import cv2

    from stream.interrupt import on_interrupt
    from stream.live.controls import Controls
    from stream.live.keys import Keys
    from stream.live.run import LiveRun
    from stream.live.status import Status
    from stream.progress import ProgressLine
    from stream.report import print_report
    from stream.timing import Clock

    # The pictures are small: OpenCV's threads would wait for each other more than they help.
    cv2.setNumThreads(1)
    segmenter.warm_up(source.info.width, source.info.height)
    clock = Clock()
    controls = Controls(segmenter, look=options.look.value, timing=options.timing)
    console = common.progress_console(quiet=options.quiet)
    window = _window(options, source.info.name)
    with contextlib.closing(window) if window is not None else contextlib.nullcontext():
        run = LiveRun(
            source,
            segmenter,
            controls,
            clock,
            every=options.every,
            steady=options.steady,
            displays=() if window is None else (window,),
            open_sink=open_sink,
        )
        if window is not None:
            window.connect(Keys(run, controls, window, folder=Path.cwd()).press, run.shown)
        if options.output is not None:
            run.start_recording(options.output)
        status = Status(
            run, clock, segmenter, source=source.info.name, console=console, report=options.report
        )
        line = ProgressLine(console, source.info, segmenter.provider, run.counts, clock)

        def tick() -> None:
            status.tick()
            line.update()
            if options.seconds is not None and run.outcome().seconds >= options.seconds:
                run.stop()

        with on_interrupt(run.stop, run.abort), line:
            outcome = run.run(on_tick=tick, pump=None if window is None else window.pump)
        status.write(finished=True)
    if not options.quiet:
        print_report(common.results, status.figures())
    if outcome.error is not None:
        raise outcome.error


def _window(options: Options, name: str) -> WindowSink | None:
    if not options.display:
        return None
    from stream.sinks.window import WindowSink

    return WindowSink(f"stream: {name}")
