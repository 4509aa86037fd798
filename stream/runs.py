"""Runs: a source is put through the pipeline into a sink."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console

from stream import tracking
from stream.interrupt import on_interrupt
from stream.pipeline import Outcome, Pipeline
from stream.progress import ProgressLine
from stream.report import RunReport, run_report
from stream.sinks.base import Sink
from stream.sources.base import Source
from stream.stages import segmentation_stages
from stream.timing import Clock

if TYPE_CHECKING:
    from stream.compositing import Painter
    from stream.inference.segmenter import Segmenter
    from stream.motion.every import Every


@contextmanager
def _closing(source: Source, sink: Sink) -> Iterator[None]:
    """Lets go of both where the pipeline never came to run."""
    with ExitStack() as stack:
        stack.callback(source.close)
        stack.callback(sink.abort)
        yield
        stack.pop_all()


def run_video(
    source: Source,
    sink: Sink,
    segmenter: Segmenter,
    painter: Painter,
    *,
    output: str,
    console: Console,
    extra_remarks: Sequence[str] = (),
    every: Every | None = None,
    steady: bool = False,
) -> tuple[RunReport, Outcome]:
    """Segments one source into one sink, with progress and Ctrl-C; returns its figures.

    Args:
        source: opened; closed at the end.
        sink: opened; closed at the end.
        segmenter: finds the objects.
        painter: paints them.
        output: the sink's name, for people.
        console: where the progress line goes.
        extra_remarks: sentences to add to those of source and sink.
        every: on which frames inference runs; None for all.
        steady: whether objects are kept through moments of doubt (the tracker `steady`).
    """
    clock = Clock()
    with _closing(source, sink):
        stages = segmentation_stages(
            segmenter,
            painter,
            clock,
            every=every,
            tracker=tracking.make("steady") if steady else None,
        )
        pipeline = Pipeline(source, stages, sink, clock)
        line = ProgressLine(console, source.info, segmenter.provider, pipeline.counts, clock)
        with on_interrupt(pipeline.stop, pipeline.abort), line:
            outcome = pipeline.run(on_tick=line.update)
    metadata: Any = segmenter.metadata
    report = run_report(
        source=source.info.name,
        output=output,
        model=segmenter.name,
        precision=metadata.precision,
        provider=segmenter.provider,
        outcome=outcome,
        stages=clock.figures(),
        remarks=[
            *extra_remarks,
            *source.remarks,
            *sink.remarks,
            *([] if every is None else every.remarks),
        ],
    )
    return report, outcome
