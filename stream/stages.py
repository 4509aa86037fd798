"""The stages between source and sink: preprocess, infer, postprocess, composite."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from stream.compositing import timing_lines
from stream.pipeline import Job, Stage
from stream.timing import END_TO_END, STAGES, Clock

if TYPE_CHECKING:
    from stream.compositing import Painter
    from stream.frame import Frame
    from stream.inference.segmenter import Segmenter
    from stream.motion.every import Every
    from stream.tracking.base import Tracker

_PANEL_SECONDS = 0.2
"""How long the panel shows the same figures: faster changes cannot be read."""


class Figures:
    """Keeps the timing panel's figures."""

    def __init__(self, clock: Clock, provider: str) -> None:
        self._clock = clock
        self._provider = provider
        self._lines: list[str] = []
        self._refreshed = -_PANEL_SECONDS

    def of(self, frame: Frame) -> list[str]:
        """The panel's lines, figures of the frame itself included."""
        now = time.perf_counter()
        if now - self._refreshed >= _PANEL_SECONDS:
            self._refreshed = now
            # Stages that no frame has left yet are known from this one.
            stages = {**frame.stages, **self._clock.recent()}
            shown = [name for name in (*STAGES, END_TO_END) if name in stages]
            self._lines = timing_lines(
                {name: stages[name] for name in shown},
                fps=self._clock.rate,
                provider=self._provider,
            )
        return self._lines


def segmentation_stages(
    segmenter: Segmenter,
    painter: Painter,
    clock: Clock,
    *,
    every: Every | None = None,
    tracker: Tracker | None = None,
) -> list[Stage]:
    """The stages that find the objects of a frame and paint them into it.

    Args:
        segmenter: finds them.
        painter: paints them.
        clock: gives the figures for the timing panel.
        every: on which frames inference runs; None for all.
        tracker: says which object is which; None takes each frame for itself.
    """
    figures = Figures(clock, segmenter.provider)

    def preprocess(job: Job) -> None:
        job.prepared = segmenter.prepare(job.frame.picture)

    def infer(job: Job) -> None:
        job.raw = segmenter.infer(job.prepared)

    def postprocess(job: Job) -> None:
        if tracker is None:
            job.frame.instances = segmenter.finish(job.raw, job.prepared)
        else:
            threshold = segmenter.threshold
            candidates = segmenter.finish(job.raw, job.prepared, tracker.floor * threshold)
            job.frame.instances = tracker.update(candidates, job.frame.seconds, threshold)
        job.prepared = job.raw = None

    def composite(job: Job) -> None:
        painter.paint(job.frame, figures.of(job.frame) if painter.timing else ())

    stages = [
        Stage("preprocess", preprocess),
        Stage("infer", infer, workers=segmenter.lanes),
        Stage("postprocess", postprocess),
        Stage("composite", composite),
    ]
    return stages if every is None else every.thin(stages)
