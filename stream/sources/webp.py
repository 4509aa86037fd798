"""Animated WebP as footage: every picture with its own time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import av
import numpy as np

from stream.errors import SourceError
from stream.frame import Frame, Item, VideoInfo
from stream.photo_files.webp import Animation, Canvas, Part, animation_of, is_animated
from stream.settings.options import InputOptions
from stream.sources._changes import colour_of
from stream.sources._container import explained
from stream.sources._description import Request
from stream.sources._pixels import Upright
from stream.sources.base import Source, Target

_TICK = Fraction(1, 1000)
_HEAD = 21


class WebpSource(Source):
    """The pictures of an animated WebP in planar YUV, with their times and their opacity.

    Each is the whole that is seen then, put together of the parts that are stored. A picture that
    is damaged is counted in `corrupt` and left out. Of other animations (GIF, APNG, AVIF) FFmpeg
    tells the same, so that those are read as videos are.
    """

    priority: ClassVar[int] = 15
    heeds: ClassVar[tuple[str, ...]] = ()
    targets: ClassVar[str] = "an animated WebP"

    @classmethod
    def accepts(cls, target: Target) -> bool:
        """Whether it is a file that begins as an animated WebP does."""
        if not isinstance(target, str | Path) or "://" in str(target):
            return False
        path = Path(target)
        if path.suffix.lower() != ".webp" or not path.is_file():
            return False
        with path.open("rb") as file:
            return is_animated(file.read(_HEAD))

    @classmethod
    def from_target(cls, target: Target, options: InputOptions) -> WebpSource:
        """Opens a file, of which `cut` may ask for a part."""
        cut = options.cut
        return cls(Path(str(target)), Request.checked(cut.start, cut.end, cut.limit))

    def __init__(self, path: str | Path, request: Request | None = None) -> None:
        """Reads the file and decodes the first picture that is wanted.

        Args:
            path: the file.
            request: which part of it is wanted; None for all. Where it says when to start, that
                moment becomes 0.

        Raises:
            SourceError: it is missing, unreadable or no animated WebP, or nothing in it decodes.
            UsageError: no picture begins within what is wanted.
        """
        self.path = Path(path)
        self.corrupt = 0
        self._request = request or Request(None, None, None)
        self._closing = threading.Event()
        with explained(self.path):
            found = animation_of(self.path.read_bytes())
        if found is None or not found.parts:
            raise SourceError(f"{self.path} is no animated WebP, or it is damaged beyond reading")
        self._animation = found
        self._remarks: list[str] = []
        if not found.whole:
            self._remarks.append(
                f"{self.path.name} is cut short: it ends within picture {len(found.parts) + 1}"
            )
        self._zero = round((self._request.start or Fraction(0)) / _TICK)
        self._pictures = self._decoded(found)
        self._next = next(self._pictures, None)
        if self._next is None:
            if self.corrupt == len(found.parts):
                raise SourceError(f"{self.path} holds no picture that can be decoded")
            if self._zero >= found.lasts:
                raise self._request.missed(self.path)
            raise self._request.between(self.path)
        _, first, _ = self._next
        self._upright = Upright(first)
        self.info = self._described(found, self._upright(first))

    def _described(self, found: Animation, shown: av.VideoFrame) -> VideoInfo:
        lasts = found.lasts * _TICK
        rate = (len(found.parts) / lasts).limit_denominator(1001)
        length = self._request.duration(lasts)
        wanted = sum(self._is_wanted(part) for part in found.parts)
        return VideoInfo(
            name=self.path.name,
            width=found.width,
            height=found.height,
            pixel_format=self._upright.pixel_format,
            time_base=_TICK,
            rate=rate,
            frames=min(wanted, self._request.limit or wanted),
            duration=length,
            colour=colour_of(shown),
            codec="webp",
            alpha=found.alpha,
        )

    @property
    def remarks(self) -> list[str]:
        """What is wrong with the file or not kept of it."""
        return [*self._remarks, *self._upright.remarks]

    def __iter__(self) -> Iterator[Item]:
        """Yields a frame for each picture that can be decoded."""
        index = 0
        while self._next is not None and not self._closing.is_set():
            part, stored, seconds = self._next
            began = time.perf_counter()
            picture = self._upright(stored)
            pts = part.begin - self._zero
            picture.pts, picture.time_base, picture.duration = pts, _TICK, part.lasts
            frame = Frame(picture, index, pts, _TICK, part.lasts)
            if self.info.alpha:
                frame.alpha = self._upright.opacity(stored)
            frame.stages["decode"] = seconds + time.perf_counter() - began
            self._next = None
            yield frame
            index += 1
            if index != self._request.limit and not self._closing.is_set():
                self._next = next(self._pictures, None)

    def close(self) -> None:
        """Ends the iteration after the picture that is being decoded."""
        self._closing.set()

    def _is_wanted(self, part: Part) -> bool:
        end = self._request.end
        return part.begin >= self._zero and (end is None or part.begin * _TICK < end)

    def _decoded(self, animation: Animation) -> Iterator[tuple[Part, av.VideoFrame, float]]:
        """The pictures that are wanted, and the seconds that each took."""
        canvas = Canvas(animation)
        spent = 0.0
        for part in animation.parts:
            end = self._request.end
            if end is not None and part.begin * _TICK >= end:
                return
            began = time.perf_counter()
            try:
                seen = canvas.lay(part)
            except ValueError:
                self.corrupt += 1
                continue
            finally:
                spent += time.perf_counter() - began
            if not self._is_wanted(part):
                continue
            began = time.perf_counter()
            if animation.alpha:
                picture = av.VideoFrame.from_ndarray(seen, format="bgra")
            else:
                colours = np.ascontiguousarray(seen[..., :3])
                picture = av.VideoFrame.from_ndarray(colours, format="bgr24")
            yield part, picture, spent + time.perf_counter() - began
            spent = 0.0
