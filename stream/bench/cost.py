"""What an hour of film costs: processor time for each frame, measured, at prices of a core."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from stream.bench.figures import Figure
from stream.errors import UsageError
from stream.run import setup
from stream.run.finding import load_segmenter
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.settings.options import (
    InputOptions,
    ModelOptions,
    OutputOptions,
    PictureOptions,
    RunOptions,
    TrackingOptions,
)

PRICES = (0.01, 0.02, 0.04)
"""Of a core for an hour: spot machines and others of the common clouds."""
_HOUR = 90_000
"""Frames, at 25 a second."""


def measure(folder: Path, model: str, provider: str, clips: Sequence[Path]) -> Iterator[Figure]:
    """Does clips with one thread for inference, as a worker of one core does.

    Args:
        folder: for the results.
        model: a name or a file.
        provider: where it runs.
        clips: films; those of 1920 x 1080 say what an hour of such costs.

    Raises:
        UsageError: no films are named.
        StreamError: a film or the model cannot be used.
    """
    if not clips:
        raise UsageError("what an hour costs is measured on films: name some with --clips")
    asked = ModelOptions(model, provider=provider)
    segmenter = load_segmenter(asked, live=False, threads=1)
    for place, clip in enumerate(clips):
        target = folder / f"{place}.mp4"
        plan = RunPlan(
            SourcePlan(str(clip), InputOptions()),
            (OutputPlan(str(target), PictureOptions(timing=False), OutputOptions(overwrite=True)),),
            asked,
            TrackingOptions(),
            run=RunOptions(quiet=True),
        )
        short = replace(plan.source.options, cut=replace(plan.source.options.cut, limit=10))
        warm = replace(plan, source=replace(plan.source, options=short))
        setup.execute(warm, segmenter=segmenter)
        begun, used = time.perf_counter(), time.process_time()
        report, outcome = setup.execute(plan, segmenter=segmenter)
        took, used = time.perf_counter() - begun, time.process_time() - used
        if outcome.error is not None:
            raise outcome.error
        each = used / max(1, report.frames_out)
        hours = each * _HOUR / 3600
        prices = ", ".join(f"{hours * price:.3f} at {price:g}" for price in PRICES)
        yield Figure(
            f"an hour at 25 frames a second like {clip.name}",
            hours,
            "core-hours",
            detail=f"{1000 * each:.0f} ms of the processor a frame, {report.frames_out} frames in "
            f"{took:.1f} s on {segmenter.provider}; with a core-hour's price: {prices}; a thousand "
            f"hours on 100 machines of 8 cores: {1000 * hours / 800:.1f} h",
        )
