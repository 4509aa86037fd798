"""What displays show over the picture though it is no part of a frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from stream.run.output import Output
from stream.sinks.display import Display

_STILL_AFTER = 0.5
"""Seconds without a frame after which displays say so."""

_MESSAGE_SECONDS = 3.0

_STILL, _STILL_PICTURES = 1.0, 2.5
"""Seconds, and times between two pictures, after which a source that brings none stands still."""

NO_PICTURE = "no picture comes"
"""What is said of a source that stands still and says nothing itself."""


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


def stands_still(seconds: float, rate: float | None, *, gone: bool = False) -> bool:
    """Whether nothing has come for too long; between two pictures of few a second nothing does.

    Args:
        seconds: since the last picture.
        rate: pictures per second so far; None before there are enough to tell. The last one
            of a source that is gone comes late, when its decoder is emptied, as if it had few.
        gone: whether the source itself says that something is wrong.
    """
    if gone:
        return seconds > _STILL
    return seconds > max(_STILL, _STILL_PICTURES / (rate or math.inf))
