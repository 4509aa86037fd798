"""Figures for Prometheus, made when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import psutil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from stream.serve.room import Room
from stream.timing import CAPTURE_TO_DISPLAY

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Seconds."""


class Figures(Collector):
    """The figures of all rooms; a room that was opened again begins at zero, as counters may.

    Args:
        rooms: gives those that there are, visitors' left out.
        sessions: counts the open pages.
        visitors: counts the visitors' cameras.
    """

    def __init__(
        self,
        rooms: Callable[[], Sequence[Room]],
        sessions: Callable[[], int],
        visitors: Callable[[], int],
    ) -> None:
        self._rooms = rooms
        self._sessions = sessions
        self._visitors = visitors
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self._process = psutil.Process()

    def text(self) -> bytes:
        """The figures in Prometheus' text format."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before it is asked for."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """The figures as they are now."""
        frames = CounterMetricFamily(
            "stream_frames", "Frames by what became of them.", labels=["source", "fate"]
        )
        reconnects = CounterMetricFamily(
            "stream_reconnects", "How often a source came back.", labels=["source"]
        )
        viewers = GaugeMetricFamily("stream_viewers", "Who looks now.", labels=["source"])
        still = GaugeMetricFamily(
            "stream_still_seconds", "Seconds since the last frame.", labels=["source"]
        )
        failed = GaugeMetricFamily(
            "stream_failed_outputs",
            "Outputs, such as recordings, that could not go on.",
            labels=["source"],
        )
        stages = HistogramMetricFamily(
            "stream_stage_seconds", "Seconds that a frame spends.", labels=["source", "stage"]
        )
        for room in self._rooms():
            viewers.add_metric([room.name], room.slot.viewers)
            still.add_metric([room.name], room.still_for())
            run = room.run
            reconnects.add_metric([room.name], room.reconnects + (run.reconnects if run else 0))
            if run is None:
                continue
            failed.add_metric([room.name], sum(one.problem is not None for one in run.outputs))
            counts = run.counts
            fates = {
                "in": counts.frames_in,
                "shown": counts.shown,
                "written": counts.written,
                "dropped": counts.dropped,
                "corrupt": counts.corrupt,
                "inferred": room.inferences,
                "carried": counts.propagated,
            }
            for fate, number in fates.items():
                frames.add_metric([room.name, fate], number)
            for stage, histogram in run.clock.histograms(BOUNDS).items():
                buckets = [
                    (str(bound), number)
                    for bound, number in zip(BOUNDS, histogram.up_to, strict=True)
                ]
                name = "capture_to_display" if stage == CAPTURE_TO_DISPLAY else stage
                stages.add_metric(
                    [room.name, name], [*buckets, ("+Inf", histogram.count)], histogram.seconds
                )
        yield from (frames, reconnects, viewers, still, failed, stages)
        yield GaugeMetricFamily("stream_pages", "Open pages.", value=self._sessions())
        yield GaugeMetricFamily("stream_visitors", "Visitors' cameras.", value=self._visitors())
        memory = self._process.memory_info().rss
        yield GaugeMetricFamily("stream_memory_bytes", "Resident memory.", value=memory)
