"""The stages between source and sink: preprocess, infer, postprocess, composite."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from stream.compositing.panel import TimingPanel, timing_lines
from stream.pipeline import Job, Stage
from stream.timing import END_TO_END, STAGES, Clock

if TYPE_CHECKING:
    from stream.compositing.compositor import Compositor
    from stream.frame import Frame
    from stream.inference.segmenter import Segmenter
    from stream.motion.every import Every
    from stream.roi import Window
    from stream.tracking.base import Tracker

_PANEL_SECONDS = 0.2
"""How long the panel shows the same figures: faster changes cannot be read."""


class Panel:
    """Keeps the timing panel's figures and paints it into frames."""

    def __init__(self, clock: Clock, provider: str) -> None:
        self._clock = clock
        self._provider = provider
        self._panel = TimingPanel()
        self._lines: list[str] = []
        self._refreshed = -_PANEL_SECONDS
        self.window: Window | None = None
        """Where the panel was painted last."""

    def paint(self, frame: Frame) -> None:
        """Paints the panel into the frame's picture, figures of the frame itself included."""
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
        self.window = self._panel.paint(frame.picture, [*self._lines, *frame.notes])


def segmentation_stages(
    segmenter: Segmenter,
    compositor: Compositor,
    clock: Clock,
    *,
    timing: bool,
    every: Every | None = None,
    tracker: Tracker | None = None,
) -> list[Stage]:
    """The stages that find the objects of a frame and paint them into it.

    Args:
        segmenter: finds them.
        compositor: paints them.
        clock: gives the figures for the timing panel.
        timing: whether the panel is painted.
        every: on which frames inference runs; None for all.
        tracker: says which object is which; None takes each frame for itself.
    """
    panel = Panel(clock, segmenter.provider) if timing else None

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
        occupied = [panel.window] if panel is not None and panel.window is not None else []
        compositor.paint(job.frame, occupied)
        if panel is not None:
            panel.paint(job.frame)

    stages = [
        Stage("preprocess", preprocess),
        Stage("infer", infer, workers=segmenter.lanes),
        Stage("postprocess", postprocess),
        Stage("composite", composite),
    ]
    return stages if every is None else every.thin(stages)
