"""Runs: inputs are matched with outputs, then each is put through the pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from stream import tracking
from stream.errors import UsageError
from stream.interrupt import on_interrupt
from stream.pipeline import Outcome, Pipeline
from stream.progress import ProgressLine
from stream.report import RunReport, run_report
from stream.sinks.base import Sink
from stream.sources.base import Source
from stream.sources.folders import VIDEO_ENDINGS, files_in
from stream.stages import segmentation_stages
from stream.timing import Clock

if TYPE_CHECKING:
    from stream.compositing import Painter
    from stream.inference.segmenter import Segmenter
    from stream.motion.every import Every

_WRITABLE_ENDINGS = frozenset([".avi", ".m4v", ".mkv", ".mov", ".mp4", ".ts", ".webm"])


@dataclass(frozen=True, slots=True)
class Task:
    """One input and where its result goes."""

    source: Path
    output: Path


def match_outputs(inputs: Sequence[Path], output: Path) -> list[Task]:
    """Says where each input's result goes.

    One file goes to `output` itself; several, or a folder's videos, go into the folder `output`
    under their own names (as .mp4 where their own container is not written). A single file also
    goes into `output` where that is a folder already.

    Raises:
        UsageError: an input is missing, a folder has no videos, two results would have one name,
            or `output` is a file where a folder is needed.
    """
    files: list[Path] = []
    for path in inputs:
        if path.is_dir():
            found = files_in(path, VIDEO_ENDINGS).taken
            if not found:
                raise UsageError(f"the folder {path} has no videos in it")
            files += found
        elif path.exists():
            files.append(path)
        else:
            raise UsageError(f"there is no file {path}")
    into_folder = len(files) > 1 or any(path.is_dir() for path in inputs) or output.is_dir()
    if not into_folder:
        return [Task(files[0], output)]
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file, but {len(files)} results need a folder")
    tasks = [Task(path, output / _output_name(path)) for path in files]
    seen: dict[Path, Path] = {}
    for task in tasks:
        if task.output in seen:
            raise UsageError(
                f"{seen[task.output]} and {task.source} would both become {task.output}; "
                "give them separate output folders"
            )
        seen[task.output] = task.source
    return tasks


def _output_name(path: Path) -> str:
    ending = path.suffix.lower()
    return path.name if ending in _WRITABLE_ENDINGS else f"{path.stem}.mp4"


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
