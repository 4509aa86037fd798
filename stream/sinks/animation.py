"""Animated pictures, as web pages and chats show them: APNG, GIF and WebP."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from av.video.frame import VideoFrame

from stream.errors import SinkError, UsageError
from stream.frame import Frame, Item, VideoInfo
from stream.pictures.pixels import bgr_from_picture, told_matrix
from stream.pictures.scaler import Scaler
from stream.settings.options import OutputOptions
from stream.sinks._alpha import Transparent
from stream.sinks._animated_gif import AnimatedGif
from stream.sinks._animations import AnimatedPng, AnimatedWebp, Animation, Part
from stream.sinks._destination import Destination, check_destination
from stream.sinks._photo import why_too_large
from stream.sinks._pictures import Pictures, lost_light, lost_shape
from stream.sinks._side_by_side import SideBySide
from stream.sinks.base import Sink
from stream.types import Array
from stream.wording.names import numbered
from stream.wording.words import counted

_ENDINGS = (".apng", ".gif", ".webp")
_QUALITY, _LOSSLESS = 90, 101
_USUAL_RATE = Fraction(25)


class AnimationSink(Sink):
    """Writes footage as an animated picture, with transparency where frames have some.

    APNG keeps every pixel and every time; WebP keeps the opacity exactly, colours in good quality
    (`--crf`: 0 without loss, else as much below 100), and times to a millisecond; GIF is shown
    everywhere, has 256 colours at once, no soft edges, and times to a hundredth of a second. All
    play over and over, have no sound, and are whole after every picture, so a crash costs at most
    one. A file that is replaced stays until the new one is complete.
    """

    priority: ClassVar[int] = 1
    photos: ClassVar[bool] = False

    @classmethod
    def accepts(cls, target: str) -> bool:
        """A file's name; of footage, as photos are pictures of their own."""
        named = "://" not in target and target.lower().endswith(_ENDINGS)
        return named and numbered(target) is None

    @classmethod
    def check(cls, target: str, options: OutputOptions, inputs: Sequence[Path] = ()) -> None:
        """Refuses what only video files can be asked."""
        ending = Path(target).suffix.lower()
        for name, value in (
            ("codec", options.codec),
            ("preset", options.preset),
            ("pixel-format", options.pixel_format),
        ):
            if value is not None:
                raise UsageError(f"{target} is an animated picture and has no --{name}; leave it")
        if options.crf is not None and ending != ".webp":
            what = "keeps every pixel" if ending == ".apng" else "has 256 colours"
            raise UsageError(f"{target} {what} and has no --crf; .webp has")
        check_destination(target, overwrite=options.overwrite, inputs=inputs)

    @classmethod
    def check_alpha(cls, target: str, options: OutputOptions) -> None:
        """All hold it."""

    @classmethod
    def from_target(cls, target: str, info: VideoInfo, options: OutputOptions) -> Self:
        """Creates the file."""
        return cls(target, info, crf=options.crf, overwrite=options.overwrite)

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        *,
        crf: float | None = None,
        overwrite: bool = False,
    ) -> None:
        """Creates the file.

        Args:
            path: the file; its ending says which kind.
            info: what the source says of its video.
            crf: of WebP, 0 for no loss, else by how much its quality is below 100; None for 90.
            overwrite: whether an existing file may be replaced.

        Raises:
            UsageError: the file exists.
            SinkError: it cannot be written, or does not hold pictures of this size.
        """
        self.path = Path(path)
        self._info = info
        ending = self.path.suffix.lower()
        why = why_too_large(ending, info.width, info.height)
        if why is not None:
            raise SinkError(f"{self.path} cannot be written: {why}")
        fitting = Transparent if info.alpha else Pictures
        self._fitting = fitting(info.width, info.height, "rgba" if info.alpha else "bgr24")
        self._destination = Destination(self.path, overwrite=overwrite)
        size = (info.height, info.width)
        self._animation: Animation
        try:
            if ending == ".apng":
                self._animation = AnimatedPng(self._destination, size, alpha=info.alpha)
            elif ending == ".gif":
                self._animation = AnimatedGif(
                    self._destination, size, alpha=info.alpha, exact=info.exact
                )
            else:
                quality = _QUALITY if crf is None else round(100 - crf) if crf else _LOSSLESS
                quality = _LOSSLESS if info.exact and crf is None else quality
                self._animation = AnimatedWebp(
                    self._destination, size, alpha=info.alpha, quality=quality
                )
        except OSError as error:
            self._destination.abandon(keep=False)
            raise SinkError(self._destination.explain(error)) from error
        self._origin: Fraction | None = None
        self._waiting: tuple[Array, Fraction, Fraction | None] | None = None
        self._encoding = SideBySide[tuple[Fraction, bool], Part]()
        self._begun = False
        self._count = 0
        self._done = False

    def write(self, item: Item) -> None:
        """Takes a frame; it is written once the next says how long it is shown.

        Raises:
            SinkError: the file cannot be written any further; the message says what was saved.
        """
        if not isinstance(item, Frame):
            return
        now = item.pts * item.time_base
        self._origin = now if self._origin is None else self._origin
        length = item.duration * item.time_base if item.duration else None
        self._put(now - self._origin)
        self._waiting = self._pixels(item), now - self._origin, length

    def _pixels(self, frame: Frame) -> Array:
        picture = frame.image
        if (picture.width, picture.height) == (self._info.width, self._info.height):
            if not self._info.alpha:
                return bgr_from_picture(frame.seen())
            pixels: Array = bgr_from_picture(picture)
            alpha = frame.alpha
            if alpha is None:
                alpha = np.full(pixels.shape[:2], 255, np.uint8)
            return np.dstack([pixels, alpha])
        fitted: VideoFrame = self._fitting(picture, frame.alpha)
        name = "bgra" if self._info.alpha else "bgr24"
        made = Scaler()(fitted, pixel_format=name, src_colorspace=told_matrix(fitted))
        return made.to_ndarray()

    def _put(self, until: Fraction, *, last: bool = False) -> None:
        """Begins with the picture that waits, and adds those that are ready; with the last all."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        first, self._begun = not self._begun, True
        encode = partial(self._animation.encoded, waiting[0], first=first)
        self._encoding.put((until, last), encode)
        left = 0 if last else self._encoding.most
        while self._encoding.due(left):
            self._add()

    def _add(self) -> None:
        until, last = self._encoding.first
        try:
            self._animation.add(self._encoding.take(), until, last=last)
        except (OSError, ValueError) as error:
            self._done = True
            self._encoding.close()
            broken = self._destination.error
            self._destination.abandon(keep=self._count > 0)
            what = (
                f"{self.path} could not be written to the end ({error})"
                if broken is None
                else self._destination.explain(broken)
            )
            pictures = counted(self._count, "picture is", "pictures are")
            saved = f"{pictures} saved in {self._destination.working}"
            saved = saved if self._count else "nothing was saved"
            raise SinkError(what, saved, frames=self._count) from error
        self._count += 1

    def close(self) -> None:
        """Finishes the file; safe to call twice.

        Raises:
            SinkError: the end could not be written; the message says what was saved.
        """
        if self._done:
            return
        if self._waiting is not None:
            _, start, length = self._waiting
            length = length or 1 / (self._info.rate or _USUAL_RATE)
            self._put(start + length, last=True)
        self._done = True
        self._encoding.close()
        try:
            if self._count:
                self._destination.commit()
            else:
                self._destination.abandon(keep=False)
        except OSError as error:
            raise SinkError(self._destination.explain(error)) from error

    def abort(self) -> None:
        """Lets go at once; what was written plays."""
        if self._done:
            return
        while self._encoding.due(self._encoding.most) and not self._done:
            self._add()
        self._done = True
        self._encoding.close()
        self._destination.abandon(keep=self._count > 0)

    @property
    def quicker(self) -> str:
        """A video, as there is nothing to choose here."""
        return "animated pictures take longer than videos: write .mp4 or .webm"

    @property
    def remarks(self) -> list[str]:
        """What does not fit in."""
        ending = self.path.suffix
        said = lost_shape(self._info.sample_aspect_ratio, ending)
        if not self._info.grey and not self._info.exact:
            said += lost_light(self._info.colour.transfer, ending)
        if self._info.copied:
            said.append(f"sound and what else is in the source is left out: {ending} has none")
        return said + self._animation.remarks
