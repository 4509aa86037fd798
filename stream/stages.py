"""The stages between source and sink: preprocess, infer, postprocess, composite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.compositing.panel import TimingPanel, timing_lines
from stream.pipeline import Job, Stage
from stream.timing import Clock

if TYPE_CHECKING:
    from stream.compositing.compositor import Compositor
    from stream.inference.segmenter import Segmenter


def segmentation_stages(
    segmenter: Segmenter, compositor: Compositor, clock: Clock, *, timing: bool
) -> list[Stage]:
    """The stages that find the objects of a frame and paint them into it.

    Args:
        segmenter: finds them.
        compositor: paints them.
        clock: gives the figures for the timing panel.
        timing: whether the panel is painted.
    """
    panel = TimingPanel()

    def preprocess(job: Job) -> None:
        job.prepared = segmenter.prepare(job.frame.picture)

    def infer(job: Job) -> None:
        job.raw = segmenter.infer(job.prepared)

    def postprocess(job: Job) -> None:
        job.frame.instances = segmenter.finish(job.raw, job.prepared)
        job.prepared = job.raw = None

    def composite(job: Job) -> None:
        compositor.paint(job.frame)
        if timing:
            # Stages that this frame has not reached yet show their running mean.
            stages = {**clock.recent(), **job.frame.stages}
            lines = timing_lines(stages, rate=clock.rate, provider=segmenter.provider)
            job.frame.picture = panel.paint(job.frame.picture, [*lines, *job.frame.notes])

    return [
        Stage("preprocess", preprocess),
        Stage("infer", infer),
        Stage("postprocess", postprocess),
        Stage("composite", composite),
    ]
