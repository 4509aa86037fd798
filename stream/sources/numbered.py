"""Numbered pictures as one film at a rate: `frames/%05d.png`, as renderers and datasets have it."""

from __future__ import annotations

import logging
import math
import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from stream.errors import SourceError, UsageError
from stream.frame import Frame, Item, VideoInfo
from stream.photo_files.photo import is_mirrored, opacity_of
from stream.photo_files.photo_facts import ALPHA, DARK, DEEP, SENTENCES, beyond, unmultiplied
from stream.photo_files.photo_range import leaves_upper_bits
from stream.pictures.pixels import has_alpha, plane_view
from stream.settings.options import InputOptions
from stream.sources._changes import colour_of
from stream.sources._description import Request
from stream.sources._numbering import USUAL_RATE, files_of, missing, rate_of, step_of
from stream.sources._pixels import Upright
from stream.sources._transparency import ClearParts
from stream.sources.base import Source, Target
from stream.sources.folders import PICTURE_ENDINGS
from stream.sources.images import content_of, read_picture
from stream.wording.names import numbered

_log = logging.getLogger(__name__)

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_OF_JPEG = re.compile(r"yuvj?4[0-4][0-4]p|gray")
_UNSAID = 2
_BT601 = 5


@dataclass(frozen=True, slots=True)
class _Read:
    """A picture that was read.

    Attributes:
        stored: as it came from its decoder.
        clear: what tells the opacity in the form of a decoder's picture; None where all is opaque.
        seconds: that it took.
    """

    stored: av.VideoFrame
    clear: av.VideoFrame | None
    seconds: float


class NumberedSource(Source):
    """Numbered pictures as the frames of one film, each at its number's time.

    The first number is time 0. Where all numbers are multiples of a step, as in 0, 10, 20, a step
    is one picture's time. A number that is missing, or whose picture cannot be read, lets the one
    before it stand for as long, so that the film keeps its length.

    JPEGs keep the samples that they are made of (full-range YUV) and PNGs of 16 bits their depth;
    others come in full-range YUV 4:4:4 with 10 bits, which holds every colour of 8 bits exactly.
    What cameras noted of how a picture lies is carried out. Of another size than the first one's a
    picture is fitted into it.

    Attributes:
        numbers: of the pictures that come; those that turned out unreadable are taken out, so that
            `numbers[frame.index]` is a frame's.
    """

    priority: ClassVar[int] = 12
    heeds: ClassVar[tuple[str, ...]] = ("fps",)
    targets: ClassVar[str] = "numbered pictures (frames/%05d.png)"

    @classmethod
    def accepts(cls, target: Target) -> bool:
        """Whether it is a pattern of pictures' names, and no file of this very name."""
        if not isinstance(target, str | Path) or "://" in str(target):
            return False
        path = Path(target)
        return (
            path.suffix.lower() in PICTURE_ENDINGS
            and numbered(str(target)) is not None
            and not path.exists()
        )

    @classmethod
    def from_target(cls, target: Target, options: InputOptions) -> NumberedSource:
        """Opens the pictures; their rate is `camera.fps`, or 25 pictures per second."""
        cut = options.cut
        return cls(
            Path(str(target)),
            options.camera.fps,
            Request.checked(cut.start, cut.end, cut.limit),
        )

    def __init__(
        self,
        pattern: str | Path,
        rate: Fraction | float | None = None,
        request: Request | None = None,
    ) -> None:
        """Finds the pictures and reads the first one that is wanted.

        Args:
            pattern: a path whose name has `%d` for a number, or `%05d` for one of five digits.
            rate: pictures per second; None for 25, which is said then.
            request: which part is wanted; None for all. Where it says when to start, that moment
                becomes 0.

        Raises:
            UsageError: the rate is not above 0, or no picture begins within what is wanted.
            SourceError: there is no such picture, or none can be read.
        """
        if rate is not None and not rate > 0:
            raise UsageError(f"{rate} pictures per second are not possible")
        self.path = Path(pattern)
        self.corrupt = 0
        self._request = request or Request(None, None, None)
        self._rate = rate_of(rate)
        self._closing = threading.Event()
        self._remarks: list[str] = []
        self._dropped: dict[str, list[str]] = {}
        self._decoders: dict[str, VideoCodecContext] = {}
        if rate is None:
            self._remarks.append(
                f"{self.path.name} is taken at {USUAL_RATE} pictures a second, as nothing says "
                "how many there were; --fps does"
            )
        found = files_of(self.path)
        self._first, self._step = found[0][0], step_of([number for number, _ in found])
        self._remarks += missing([number for number, _ in found], self._step)
        self._zero = math.ceil((self._request.start or 0) * self._rate)
        self._files = self._wanted(found)
        self.numbers = [number for number, _ in self._files]
        first = self._take(0)
        if first is None:
            words = self._remarks[-1]
            raise SourceError(
                words
                if self.corrupt == 1
                else f"none of the {self.corrupt} pictures {self.path} can be read; {words}"
            )
        self._next: _Read | None = first
        self._upright = Upright(first.stored)
        self._clear = ClearParts(self._opacity(first))
        # Exact colours are no conversion that anybody has to know of.
        self._remarks += self._upright.remarks
        self.info = self._described(first)

    def _wanted(self, found: Sequence[tuple[int, Path]]) -> list[tuple[int, Path]]:
        request = self._request
        end = None if request.end is None else math.ceil(request.end * self._rate)
        files = [
            (number, path)
            for number, path in found
            if self._place(number) >= 0 and (end is None or self._place(number) < end - self._zero)
        ]
        if not files and self._place(found[-1][0]) < 0:
            raise request.missed(self.path)
        if not files:
            raise request.between(self.path)
        return files[: request.limit]

    def _described(self, first: _Read) -> VideoInfo:
        lasts = (self._place(self._files[-1][0]) + 1) / self._rate
        folder = self.path.parent.name
        return VideoInfo(
            name=f"{folder}/{self.path.name}" if folder else self.path.name,
            width=self._upright.width,
            height=self._upright.height,
            pixel_format=self._upright.pixel_format,
            time_base=1 / self._rate,
            rate=self._rate,
            frames=len(self._files),
            duration=lasts,
            colour=colour_of(self._upright(first.stored)),
            rotation=self._upright.orientation.turns * 90,
            codec=self._files[0][1].suffix.lstrip(".").lower(),
            alpha=self._clear.kept,
            numbers=self.numbers,  # the very list: what cannot be read is taken out of it later
        )

    @property
    def remarks(self) -> list[str]:
        """What is missing, could not be read or is not kept, a sentence each."""
        dropped = []
        for kind, names in self._dropped.items():
            more = f" and {len(names) - 1} more" if names[1:] else ""
            dropped.append(f"{names[0]}{more}: it has {SENTENCES[kind]}")
        later = [*self._upright.later_remarks, *self._clear.remarks]
        return [*self._remarks, *dropped, *later]

    def __iter__(self) -> Iterator[Item]:
        """Yields a frame for each picture that can be read."""
        tick = 1 / self._rate
        index = 0
        while self._next is not None and not self._closing.is_set():
            read, pts = self._next, self._place(self.numbers[index])
            self._next = self._take(index + 1)
            later = index + 1 < len(self.numbers)
            duration = self._place(self.numbers[index + 1]) - pts if later else 1
            began = time.perf_counter()
            picture = self._upright(read.stored)
            picture.pts, picture.time_base, picture.duration = pts, tick, duration
            frame = Frame(picture, index, pts, tick, duration)
            if self._clear.asked or read.clear is not None:
                self._clear.tell(frame, self._opacity(read))
            frame.stages["decode"] = read.seconds + time.perf_counter() - began
            yield frame
            index += 1

    @property
    def begins(self) -> Fraction:
        """When the first picture comes, in seconds."""
        return self._place(self.numbers[0]) / self._rate

    def last_times(self) -> list[Fraction]:
        """When the last two pictures come that can be read, in seconds; no other is read."""
        found: list[Fraction] = []
        for number, path in reversed(self._files):
            try:
                self._read(path)
            except SourceError as error:
                _log.debug("%s", error)
                continue
            found.append(self._place(number) / self._rate)
            if len(found) == 2:
                break
        return found[::-1]

    def close(self) -> None:
        """Ends the iteration after the picture that is being read."""
        self._closing.set()

    def _place(self, number: int) -> int:
        """A number's time in ticks."""
        return (number - self._first) // self._step - self._zero

    def _opacity(self, read: _Read) -> NDArray[np.uint8] | None:
        return None if read.clear is None else self._upright.opacity(read.clear)

    def _take(self, index: int) -> _Read | None:
        """The picture at a place, or the next that can be read; None after the last."""
        while index < len(self._files) and not self._closing.is_set():
            _, path = self._files[index]
            began = time.perf_counter()
            try:
                stored, clear = self._read(path)
            except SourceError as error:
                _log.debug("%s", error)
                self.corrupt += 1
                self._remarks.append(str(error))
                del self._files[index], self.numbers[index]
                continue
            return _Read(stored, clear, time.perf_counter() - began)
        return None

    def _read(self, path: Path) -> tuple[av.VideoFrame, av.VideoFrame | None]:
        """A picture and what tells its opacity, which may be the same.

        Raises:
            SourceError: it cannot be read.
        """
        content = content_of(path)
        data = content.tobytes()
        found = beyond(data)
        native = self._native(data, deep=DEEP in found)
        if native is not None:
            if DEEP in found and leaves_upper_bits(content, _upper_bits(native)):
                found |= {DARK}
            found -= {DEEP, ALPHA}
            clear: av.VideoFrame | None = native
            if not has_alpha(native.format):
                clear = None
        else:
            given = unmultiplied(content)
            native, faults = read_picture(path, given)
            clear = None
            opacity = opacity_of(given) if ALPHA in found else None
            if opacity is not None:
                found -= {ALPHA}
                clear = av.VideoFrame(opacity.shape[1], opacity.shape[0], "yuva444p")
                plane_view(clear.planes[3])[...] = opacity
            found |= faults
        for kind in sorted(found):
            self._dropped.setdefault(kind, []).append(path.name)
        return native, clear

    def _native(self, data: bytes, *, deep: bool) -> av.VideoFrame | None:
        """A JPEG's own samples, or those of a PNG of more than 8 bits; None of all else."""
        if data.startswith(_JPEG) and data.rstrip(b"\0").endswith(b"\xff\xd9"):
            picture = self._decoded("mjpeg", data)
            if (
                picture is None
                or picture.is_corrupt
                or _OF_JPEG.fullmatch(picture.format.name) is None
                or is_mirrored(data)
            ):
                return None
            if picture.colorspace == _UNSAID and not picture.format.name.startswith("gray"):
                picture.colorspace = _BT601  # JFIF's (ITU-T T.871)
            return picture
        return self._decoded("png", data) if deep and data.startswith(_PNG) else None

    def _decoded(self, codec: str, data: bytes) -> av.VideoFrame | None:
        decoder = self._decoders.get(codec)
        if decoder is None:
            made = av.CodecContext.create(codec, "r")
            assert isinstance(made, VideoCodecContext)
            made.thread_count = 1  # else pictures come later than they are given
            decoder = self._decoders[codec] = made
        packet = av.Packet(data)
        packet.is_keyframe = True  # else a PNG is taken for what changed since the one before
        try:
            pictures = decoder.decode(packet)
        except av.FFmpegError as error:  # whoever reads it next says what is wrong
            _log.debug("%s", error)
            return None
        return pictures[0] if pictures else None


def _upper_bits(picture: av.VideoFrame) -> NDArray[np.uint8]:
    """Of a PNG of 16 bits, in network byte order, each colour's upper eight; uint8 [H, W, C]."""
    size = picture.format.padded_bits_per_pixel // 8
    upper = plane_view(picture.planes[0], channels=size)[..., ::2]
    return upper[..., :-1] if has_alpha(picture.format) else upper
