"""The figures that the timing panel shows."""

from __future__ import annotations

import time
from collections.abc import Callable

from stream.compositing.panel import timing_lines
from stream.frame import Frame
from stream.timing import LABELS, STAGES, Clock

_STANDS = 0.2
"""Seconds that the same figures stand: faster changes cannot be read."""


class PanelFigures:
    """Lines of figures about a run, refreshed a few times a second; one thread at a time.

    Args:
        clock: gives the durations.
        provider: where the model runs.
        latency: the stage that is shown last: from a frame's birth until it is out.
        dropped: counts frames that came out nowhere; None where none can.
        now: seconds on a clock that only goes forward.
    """

    def __init__(
        self,
        clock: Clock,
        provider: str,
        latency: str,
        dropped: Callable[[], int] | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._clock = clock
        self._provider = provider
        self._latency = latency
        self._dropped = dropped
        self._now = now
        self._lines: list[str] = []
        self._refreshed: float | None = None

    def lines(self, frame: Frame) -> list[str]:
        """The panel's lines for a frame: a name, a tab and a value each."""
        now = self._now()
        if self._refreshed is None or now - self._refreshed >= _STANDS:
            self._refreshed = now
            # Stages that no frame has left yet are known from this one.
            stages = {**frame.stages, **self._clock.recent()}
            shown = [name for name in (*STAGES, self._latency) if name in stages]
            self._lines = timing_lines(
                {LABELS.get(name, name): stages[name] for name in shown},
                fps=self._clock.rate,
                provider=self._provider,
            )
            if self._dropped is not None:
                self._lines.append(f"dropped\t{self._dropped()}")
        return self._lines
