"""A visitor's camera as a source of pictures."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from fractions import Fraction
from typing import ClassVar

import av

from stream.errors import UsageError
from stream.frame import Frame, VideoInfo
from stream.pictures.colour_tags import ColourTags
from stream.queues import Closed, Queue, WhenFull
from stream.settings.options import InputOptions
from stream.sources.base import Source, Target
from stream.sources.live import LiveSource, planar
from stream.sources.live_timeline import TICKS

_MOST_PIXELS = 1920 * 1088


class VisitorSource(LiveSource):
    """The pictures that a visitor's browser sends.

    Args:
        first: the first picture; its size is the source's.
        now: when it came in, by `time.perf_counter()`.
    """

    targets: ClassVar[str] = ""

    def __init__(self, first: av.VideoFrame, now: float) -> None:
        self._queue: Queue[tuple[av.VideoFrame, float]] = Queue("visitor", 1, WhenFull.LATEST)
        self._closed = threading.Event()
        self._began = now
        self.info = VideoInfo(
            name="your camera",
            width=first.width,
            height=first.height,
            pixel_format=first.format.name,
            time_base=TICKS,
            rate=Fraction(30),
            # What browsers send without tags is BT.601, limited range.
            colour=ColourTags(6, 6, 6, full_range=False),
            codec="webrtc",
            live=True,
            camera=True,
        )
        self.put(first, now)

    @classmethod
    def from_target(cls, target: Target, options: InputOptions) -> Source:
        """Only a page brings one.

        Raises:
            UsageError: always.
        """
        raise UsageError("a visitor's camera comes from a page")

    def put(self, picture: av.VideoFrame, now: float) -> None:
        """One more picture; from any thread. One that is too large for a camera is left out."""
        if picture.width * picture.height > _MOST_PIXELS:
            self.corrupt += 1
            return
        self.dropped += len(self._queue.put((picture, now)))

    def __iter__(self) -> Iterator[Frame]:
        """Yields the newest picture each time."""
        index = 0
        last = -1
        while not self._closed.is_set():
            try:
                taken = self._queue.take()
            except Closed:
                return
            if taken is None:
                continue
            picture, born = planar(taken[0]), taken[1]
            pts = max(last + 1, round((born - self._began) / TICKS))
            picture.pts, picture.time_base = pts, TICKS
            picture.colorspace, picture.color_range = 6, 1
            frame = Frame(picture, index, pts, TICKS, captured_at=born)
            frame.stages["decode"] = 0.0
            yield frame
            last = pts
            index += 1

    def close(self) -> None:
        """Ends the iteration."""
        self._closed.set()
        self._queue.close(clear=True)
