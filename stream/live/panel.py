"""The timing panel of a live run."""

from __future__ import annotations

import time
from collections.abc import Callable

from stream.compositing import timing_lines
from stream.timing import STAGES, Clock

CAPTURE_TO_DISPLAY = "capture to display"
"""Seconds from the moment a picture was taken (or came in) until it is on the screen."""

_PANEL_SECONDS = 0.2
"""How long the same figures stand: faster changes cannot be read."""


class LivePanel:
    """Keeps the figures of a live run.

    Args:
        clock: gives the durations.
        provider: where the model runs.
        dropped: counts frames that were not shown.
    """

    def __init__(self, clock: Clock, provider: str, dropped: Callable[[], int]) -> None:
        self._clock = clock
        self._provider = provider
        self._dropped = dropped
        self._lines: list[str] = []
        self._refreshed = -_PANEL_SECONDS

    def lines(self) -> list[str]:
        """The timing panel's lines."""
        now = time.perf_counter()
        if now - self._refreshed >= _PANEL_SECONDS:
            self._refreshed = now
            stages = self._clock.recent()
            shown = [name for name in (*STAGES, CAPTURE_TO_DISPLAY) if name in stages]
            self._lines = [
                *timing_lines(
                    {name: stages[name] for name in shown},
                    fps=self._clock.rate,
                    provider=self._provider,
                ),
                f"dropped\t{self._dropped()}",
            ]
        return self._lines
