"""A moving test picture, made here: for trying things out without camera or file."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from fractions import Fraction
from typing import ClassVar

import av
import numpy as np

from stream.errors import UsageError
from stream.frame import ColourTags, Frame, Item, VideoInfo
from stream.options import InputOptions
from stream.pixels import plane_view
from stream.sources._clock import MACHINE, Clock
from stream.sources.base import Source, Target

NAME = "pattern"
"""What the test picture is asked for by."""

_USUAL_SIZE = (640, 480)
_USUAL_RATE = 30


class PatternSource(Source):
    """Colour bars with a bright bar that moves across them, in YUV 4:2:0, limited range, BT.709.

    As a live source pictures come at their rate and those that nobody waits for are not made.
    """

    priority: ClassVar[int] = 20
    live: ClassVar[bool] = True
    targets: ClassVar[str] = f"`{NAME}` for a test picture"

    def __init__(
        self,
        width: int = 1280,
        height: int = 720,
        rate: Fraction | int = 30,
        *,
        frames: int | None = None,
        live: bool = False,
        clock: Clock = MACHINE,
    ) -> None:
        """Describes the pattern.

        Args:
            width: in pixels, at least 16.
            height: in pixels, at least 16.
            rate: pictures per second.
            frames: how many pictures come; None for no end.
            live: whether pictures come in real time, or as fast as they are taken.
            clock: tells the time and waits.

        Raises:
            UsageError: the size or the rate is not possible.
        """
        if width < 16 or height < 16 or rate <= 0:
            raise UsageError(f"a test picture of {width}x{height} at {rate} fps is not possible")
        self.corrupt = 0
        self._clock = clock
        self._rate = Fraction(rate)
        self._frames = frames
        self._closing = threading.Event()
        self.info = VideoInfo(
            name="test picture",
            width=width,
            height=height,
            pixel_format="yuv420p",
            time_base=1 / self._rate,
            rate=self._rate,
            frames=frames,
            duration=None if frames is None else frames / self._rate,
            colour=ColourTags(1, 1, 1, full_range=False),
            codec="pattern",
            live=live,
        )
        self._bars = self._draw_bars()

    @classmethod
    def accepts(cls, target: Target) -> bool:
        """Whether it is the word `pattern`."""
        return target == NAME

    @classmethod
    def from_target(cls, target: Target, options: InputOptions) -> PatternSource:
        """Opens the test picture, live, in the size and at the rate asked of a camera."""
        width, height = options.camera.size or _USUAL_SIZE
        rate = Fraction(options.camera.fps or _USUAL_RATE).limit_denominator(1001)
        return cls(width, height, rate, frames=options.cut.limit, live=True)

    def __iter__(self) -> Iterator[Item]:
        """Yields frames; in real time where the source is live."""
        tick = self.info.time_base
        began = self._clock.now()
        index = pts = 0
        while not self._closing.is_set() and (self._frames is None or pts < self._frames):
            if self.info.live:
                due = began + float(pts * tick)
                if self._clock.wait(self._closing, due - self._clock.now()):
                    return
            started = self._clock.now()
            picture = self._draw(pts)
            frame = Frame(picture, index, pts, tick, 1)
            frame.stages["decode"] = self._clock.now() - started
            yield frame
            index, pts = index + 1, pts + 1
            if self.info.live:
                pts = max(pts, int((self._clock.now() - began) / tick))

    def close(self) -> None:
        """Ends the iteration."""
        self._closing.set()

    def _draw_bars(self) -> av.VideoFrame:
        picture = av.VideoFrame(self.info.width, self.info.height, "yuv420p")
        # White, yellow, cyan, green, magenta, red, blue, black at 75 % (ITU-R BT.471), BT.709.
        bars = np.array(
            [
                (180, 168, 145, 133, 63, 51, 28, 16),
                (128, 44, 147, 63, 193, 109, 212, 128),
                (128, 136, 44, 52, 204, 212, 120, 128),
            ],
            np.uint8,
        )
        for plane, values in zip(picture.planes, bars, strict=True):
            view = plane_view(plane)
            view[:] = values[np.arange(plane.width) * len(values) // plane.width]
        picture.colorspace, picture.color_range = 1, 1
        picture.color_primaries, picture.color_trc = 1, 1
        return picture

    def _draw(self, pts: int) -> av.VideoFrame:
        picture = av.VideoFrame(self.info.width, self.info.height, "yuv420p")
        for source, target in zip(self._bars.planes, picture.planes, strict=True):
            np.copyto(plane_view(target), plane_view(source))
        luma = plane_view(picture.planes[0])
        left = pts * 4 % self.info.width
        luma[:, left : left + max(4, self.info.width // 32)] = 235
        picture.colorspace, picture.color_range = 1, 1
        picture.color_primaries, picture.color_trc = 1, 1
        picture.pts, picture.time_base, picture.duration = pts, self.info.time_base, 1
        return picture
