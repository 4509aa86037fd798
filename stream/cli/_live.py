"""Carries out a live plan."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
from rich.console import Console

from stream.cli import _execute
from stream.compositing import Style
from stream.errors import SinkError, UsageError
from stream.interrupt import on_interrupt
from stream.live.controls import Controls
from stream.live.keys import Keys
from stream.live.run import LiveRun
from stream.live.status import Status
from stream.progress import ProgressLine
from stream.sinks.window import WindowSink, why_no_window
from stream.timing import Clock

if TYPE_CHECKING:
    from stream.frame import VideoInfo
    from stream.inference.segmenter import Segmenter
    from stream.pipeline import Outcome
    from stream.report import RunReport
    from stream.run.plan import RunPlan
    from stream.sinks.base import Sink
    from stream.sources.base import Source


def check_window(plan: RunPlan) -> None:
    """Refuses a plan with a window where none can be opened.

    Raises:
        SinkError: why there is no window.
    """
    if any(one.target == _execute.WINDOW for one in plan.outputs):
        reason = why_no_window()
        if reason is not None:
            raise SinkError(reason)


def run_live(
    plan: RunPlan, source: Source, segmenter: Segmenter | None, console: Console
) -> tuple[RunReport, Outcome]:
    """Shows and records a live source.

    Raises:
        StreamError: the model or an output cannot be used.
    """
    files = [one for one in plan.outputs if one.target != _execute.WINDOW]
    shown = plan.outputs[0] if plan.outputs else None
    if len(files) > 1:
        raise UsageError(f"a live source goes to one file, not {len(files)}")

    def open_sink(path: Path, info: VideoInfo) -> Sink:
        from dataclasses import replace

        named = bool(files) and path == Path(files[0].target)
        options = files[0].options if files else None
        if options is None:
            from stream.options import OutputOptions

            options = OutputOptions()
        if not named:
            options = replace(options, overwrite=False)
        sink: Sink = _execute.open_file(path, info, options)
        return sink

    try:
        segmenter = segmenter or _execute.load_segmenter(plan.model)
        # The pictures are small: OpenCV's threads would wait for each other more than they help.
        cv2.setNumThreads(1)
        segmenter.warm_up(source.info.width, source.info.height)
    except BaseException:
        source.close()
        raise
    clock = Clock()
    controls = Controls(
        segmenter,
        look="overlay" if shown is None else shown.picture.look,
        style=Style() if shown is None else Style.from_options(shown.picture),
        timing=None if shown is None else shown.picture.timing,
    )
    named = any(one.target == _execute.WINDOW for one in plan.outputs)
    window = WindowSink(f"stream: {source.info.name}") if named else None
    every = plan.model.every
    with contextlib.closing(window) if window is not None else contextlib.nullcontext():
        run = LiveRun(
            source,
            segmenter,
            controls,
            clock,
            every=None if every in (None, "auto") else int(every),
            steady=plan.tracking.steady and plan.tracking.tracker != "none",
            displays=() if window is None else (window,),
            open_sink=open_sink,
        )
        if window is not None:
            window.connect(Keys(run, controls, window, folder=Path.cwd()).press, run.shown)
        if files:
            run.start_recording(Path(files[0].target))
        status = Status(
            run,
            clock,
            segmenter,
            source=source.info.name,
            console=console,
            report=plan.run.report,
        )
        line = ProgressLine(console, source.info, segmenter.provider, run.counts, clock)

        def tick() -> None:
            status.tick()
            line.update()
            if plan.live.seconds is not None and run.outcome().seconds >= plan.live.seconds:
                run.stop()

        with on_interrupt(run.stop, run.abort), line:
            outcome = run.run(on_tick=tick, pump=None if window is None else window.pump)
        status.write(finished=True)
    return status.figures(), outcome
