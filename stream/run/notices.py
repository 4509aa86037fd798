"""What displays show over the picture though it is no part of a frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from stream.run.output import Output
from stream.sinks.display import Display

_STILL_AFTER = 0.5
"""Seconds without a frame after which displays say so."""

_MESSAGE_SECONDS = 3.0


class Notices:
    """Lines for who watches: that no frame comes, what a key did, which output has failed.

    Args:
        now: seconds on a clock that only goes forward.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._message = ("", 0.0)

    def say(self, text: str) -> None:
        """Shows a line for a moment; from any thread."""
        self._message = (text, self._now() + _MESSAGE_SECONDS)

    def show(self, outputs: Iterable[Output], still: float, why: Sequence[str]) -> None:
        """Brings the displays up to date.

        Args:
            outputs: of the run.
            still: seconds since the last frame.
            why: what the source says of that.
        """
        lines = list(why) if still > _STILL_AFTER else []
        text, until = self._message
        if self._now() < until:
            lines.append(text)
        for output in outputs:
            if isinstance(output.sink, Display) and output.alive:
                output.sink.notice(lines)
