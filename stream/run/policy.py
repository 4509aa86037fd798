"""What differs between a file and a camera."""

from __future__ import annotations

from dataclasses import dataclass

from stream.queues import WhenFull
from stream.timing import CAPTURE_TO_DISPLAY, END_TO_END


@dataclass(frozen=True, slots=True)
class Policy:
    """What becomes of frames that come faster than they are worked on.

    Attributes:
        when_full: of the queues between source, schedule and painting.
        capacity: of those queues, where the schedule does not want more.
        latency: what the time from a frame's birth until it is out is called.
    """

    when_full: WhenFull
    capacity: int
    latency: str


OFFLINE = Policy(WhenFull.BLOCK, 3, END_TO_END)
"""Nothing is lost and everything waits; a 4K frame is 12 MB."""

LIVE = Policy(WhenFull.LATEST, 1, CAPTURE_TO_DISPLAY)
"""Only now counts: the source is always drained, what is late gives way to what is newer."""
