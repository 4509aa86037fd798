"""The bundled clip as a test picture: for trying things out without camera or file."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from fractions import Fraction
from importlib import resources
from typing import ClassVar

import av
import numpy as np

from stream.errors import UsageError
from stream.frame import Frame, Item, VideoInfo
from stream.pictures.colour_tags import ColourTags
from stream.pictures.pixels import plane_view
from stream.pictures.scaler import Scaler
from stream.settings.options import InputOptions
from stream.sources._clock import MACHINE, Clock
from stream.sources.base import Source, Target

NAME = "pattern"
"""What the test picture is asked for by."""

_BT601 = 6
"""Of ITU-T H.273: the clip is smaller than high definition, and untagged."""
_USUAL_SIZE = (640, 480)
_USUAL_RATE = 30
_SMALLEST, _LARGEST, _MOST = 16, 16384, 8192 * 8192
"""Pixels of a side, and of a picture: drawing more takes seconds and gigabytes for each."""
_MADE_UP_FOR = 2
"""Pictures by which a live source may be late before it leaves any out; cameras keep some, too."""


class PatternSource(Source):
    """The bundled clip over and over, with somebody to be found in it, in any size and at any rate.

    Pictures are YUV 4:2:0, limited range, BT.601; the clip is cut to their shape. As a live source
    pictures come at their rate, and where nobody has taken them for long they are left out.
    """

    priority: ClassVar[int] = 20
    live: ClassVar[bool] = True
    heeds: ClassVar[tuple[str, ...]] = ("size", "fps")
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
            width: in pixels, 16 to 16384.
            height: in pixels, 16 to 16384; of both together 8192x8192 pixels at most.
            rate: pictures per second.
            frames: how many pictures come; None for no end.
            live: whether pictures come in real time, or as fast as they are taken.
            clock: tells the time and waits.

        Raises:
            UsageError: the size or the rate is not possible.
        """
        small, large = min(width, height) < _SMALLEST, max(width, height) > _LARGEST
        if small or large or width * height > _MOST or rate <= 0:
            raise UsageError(
                f"a test picture of {width}x{height} at {rate} fps is not possible: its sides are "
                f"{_SMALLEST} to {_LARGEST} pixels, and it has at most {_MOST // 10**6} million"
            )
        self.corrupt = 0
        self.dropped = 0
        """Pictures that were left out."""
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
            colour=ColourTags(_BT601, _BT601, _BT601, full_range=False),
            codec="pattern",
            live=live,
        )

    @classmethod
    def accepts(cls, target: Target) -> bool:
        """Whether it is the word `pattern`."""
        return isinstance(target, str) and target == NAME

    @classmethod
    def from_target(cls, target: Target, options: InputOptions) -> PatternSource:
        """Opens the test picture, live, in the size and at the rate asked of a camera."""
        width, height = options.camera.size or _USUAL_SIZE
        rate = Fraction(options.camera.fps or _USUAL_RATE).limit_denominator(1001)
        return cls(width, height, rate, frames=options.cut.limit, live=True)

    def __iter__(self) -> Iterator[Item]:
        """Yields frames; in real time where the source is live."""
        clip = _clip()
        try:
            yield from self._play(clip)
        finally:
            clip.close()

    def _play(self, clip: Iterator[av.VideoFrame]) -> Iterator[Item]:
        tick = self.info.time_base
        began = self._clock.now()
        index = pts = 0
        while not self._closing.is_set() and (self._frames is None or pts < self._frames):
            if self.info.live:
                due = began + float(pts * tick)
                if self._clock.wait(self._closing, due - self._clock.now()):
                    return
            started = self._clock.now()
            picture = self._draw(next(clip), pts)
            frame = Frame(picture, index, pts, tick, 1)
            frame.stages["decode"] = self._clock.now() - started
            yield frame
            index, pts = index + 1, pts + 1
            if self.info.live:
                late = int((self._clock.now() - began) / tick) - pts
                if late > _MADE_UP_FOR:
                    pts += late
                    self.dropped += late

    def close(self) -> None:
        """Ends the iteration."""
        self._closing.set()

    def _draw(self, shown: av.VideoFrame, pts: int) -> av.VideoFrame:
        """A picture of the clip in the size asked for, filled, with what stands out cut off."""
        width, height = self.info.width, self.info.height
        scale = max(Fraction(width, shown.width), Fraction(height, shown.height))
        # Even sizes and offsets, so that chroma stays where it belongs.
        large = [2 * -(-round(edge * scale) // 2) for edge in (shown.width, shown.height)]
        whole = Scaler()(shown, max(large[0], width), max(large[1], height), "yuv420p")
        picture = av.VideoFrame(width, height, "yuv420p")
        for source, target in zip(whole.planes, picture.planes, strict=True):
            samples = plane_view(source)
            top = (source.height - target.height) // 2
            left = (source.width - target.width) // 2
            np.copyto(plane_view(target), samples[top:, left:][: target.height, : target.width])
        picture.colorspace, picture.color_range = _BT601, 1
        picture.color_primaries, picture.color_trc = _BT601, _BT601
        picture.pts, picture.time_base, picture.duration = pts, self.info.time_base, 1
        return picture


def _clip() -> Generator[av.VideoFrame, None, None]:
    """The bundled clip's pictures, over and over."""
    with resources.as_file(resources.files("stream") / "assets" / "demo.mp4") as path:
        while True:
            with av.open(str(path)) as container:
                yield from container.decode(video=0)
