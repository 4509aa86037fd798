"""What is asked of a file and what it says of itself, before its pictures are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from stream.errors import UsageError
from stream.frame import Chapter, Cover, VideoInfo
from stream.pictures.colour_tags import ColourTags
from stream.pictures.mastering import mastering_of
from stream.pictures.siting import CENTRED, SHRUNK, Siting, named
from stream.sources._changes import colour_of
from stream.sources._ending import declared
from stream.sources._pixels import Upright
from stream.sources._tags import as_stored
from stream.sources._timecode import later_tags
from stream.sources._timeline import starts_anywhere

# Above this a rate is the tick of the container's clock and no rate.
_NO_RATE = 1000
# What may be missing, or too much, in a film whose pictures keep a rate, and of a picture's length
# that rounded times are off.
_NEAR = Fraction(1, 20)
# Seconds by which broadcasts may be longer than their last few packets let FFmpeg guess.
_GUESSED = 5
_SAY_CENTRED = {"h264", "hevc", "h263", "mpeg1video", "mjpeg"}
"""Codecs whose pictures always say where chroma lies."""


@dataclass(frozen=True, slots=True)
class Request:
    """Which part of a file is wanted.

    Attributes:
        start: seconds from the beginning of the file, None for its first picture.
        end: seconds from the beginning of the file, None for its end.
        limit: at most so many pictures, None for all.
    """

    start: Fraction | None
    end: Fraction | None
    limit: int | None

    @classmethod
    def checked(
        cls,
        start: float | Fraction | None,
        end: float | Fraction | None,
        limit: int | None,
    ) -> Request:
        """The request, refused where it selects nothing in any file.

        Raises:
            UsageError: a time is negative, the end is not after the start, or the limit is 0.
        """
        request = cls(_seconds(start, "start"), _seconds(end, "end"), limit)
        if limit is not None and limit < 1:
            raise UsageError(f"--limit must be at least 1 picture, not {limit}")
        if request.end is not None and request.end <= (request.start or 0):
            raise UsageError(
                f"--end ({float(request.end):g} s) must be later than --start "
                f"({float(request.start or 0):g} s)"
            )
        return request

    def missed(self, path: Path | str) -> UsageError:
        """What is to be said where a file ends before the start."""
        start = float(self.start or 0)
        return UsageError(f"{path} ends before the start that was asked for ({start:g} s)")

    def between(self, path: Path) -> UsageError:
        """What is to be said where no picture of a file begins within what is wanted."""
        until = "" if self.end is None else f"before {float(self.end):g} s"
        if not self.start:
            return UsageError(f"no picture of {path} begins {until}: end later")
        way = ", or end later" if until else ""
        until = f" and {until}" if until else ""
        return UsageError(
            f"no picture of {path} begins at {float(self.start):g} s or later{until}: begin "
            f"earlier{way}"
        )

    def behind(self, whole: Fraction) -> Fraction:
        """How many seconds the start lies behind the end of a file that is `whole` seconds long."""
        return (self.start or 0) - whole

    def duration(self, whole: Fraction | None) -> Fraction | None:
        """Seconds that will come of a file that is `whole` seconds long."""
        end = self.end if whole is None else min(whole, self.end or whole)
        return None if end is None else max(end - (self.start or 0), Fraction(0))

    def pictures(self, video: VideoStream, rate: Fraction | None, seconds: Fraction | None) -> int:
        """How many pictures will come, as far as can be told; 0 where it cannot."""
        known = round(seconds * rate) if seconds is not None and rate else 0
        # What the header counts, unless it belongs to the first fragment of a file that was cut
        # off while it was written.
        counted = video.frames if self.start is None and self.end is None else 0
        if counted and (not known or abs(known - counted) <= max(2, known // 20)):
            known = counted
        return known if self.limit is None else min(known or self.limit, self.limit)


def describe(
    name: str,
    tags: dict[str, str],
    container: InputContainer,
    video: VideoStream,
    copied: tuple[Stream, ...],
    request: Request,
    first: av.VideoFrame,
    upright: Upright,
    times: list[int],
    cut: tuple[Fraction | None, Fraction | None],
    zero: Fraction,
    covers: tuple[Cover, ...] = (),
    *,
    joined: bool = False,
    alpha: bool = False,
) -> VideoInfo:
    """What is known of a file's video.

    Args:
        name: of the file.
        tags: of the file.
        container: the open file.
        video: the stream that is decoded.
        copied: the streams that go with it.
        request: the part that is wanted.
        first: the first picture as it came from the decoder.
        upright: what turns the pictures upright.
        times: of some of the first packets, in ticks.
        cut: from when to when, in seconds on the frames' clock.
        zero: the stored time, in seconds, that is 0 on that clock.
        covers: the pictures that stand for the file.
        joined: whether it is one of several recordings in the file, so that its end is not the end.
        alpha: whether frames say how opaque their pixels are.
    """
    tick = Fraction(video.time_base or Fraction(1, 1000))
    aspect = video.sample_aspect_ratio or Fraction(1)
    rate = _rate(video, times, tick)
    whole = None if joined else _length(container, video, tick)
    seconds = request.duration(whole)
    if whole is not None and starts_anywhere(container) and 0 <= request.behind(whole) < _GUESSED:
        seconds = None
    count = request.limit if joined else request.pictures(video, rate, seconds)
    track = dict(video.metadata)
    if request.start is not None and video.start_time is not None:
        began = video.start_time * tick
        tags, track = (later_tags(one, began, zero, rate) for one in (tags, track))
    return VideoInfo(
        name=name,
        width=upright.width,
        height=upright.height,
        pixel_format=upright.pixel_format,
        time_base=tick,
        rate=rate,
        frames=count or None,
        duration=seconds,
        sample_aspect_ratio=1 / aspect if upright.orientation.sideways else aspect,
        colour=as_stored(_colour(first, upright), video),
        siting=_siting(first, upright, video.codec_context.codec.canonical_name),
        mastering=mastering_of(first),
        rotation=upright.orientation.turns * 90,
        codec=video.codec_context.name,
        copied=copied,
        metadata=tags,
        track=track,
        roles=int(video.disposition),
        fastest=_fastest(times, tick),
        chapters=tuple(_chapters(container, cut, zero)),
        covers=covers,
        alpha=alpha,
    )


def _chapters(
    container: InputContainer, cut: tuple[Fraction | None, Fraction | None], zero: Fraction
) -> Iterator[Chapter]:
    """The chapters as far as they lie within the cut."""
    for stored in container.chapters():
        tick = stored["time_base"] or Fraction(1)
        start, end = stored["start"] * tick - zero, stored["end"] * tick - zero
        start = start if cut[0] is None else max(start, cut[0])
        end = end if cut[1] is None else min(end, cut[1])
        if start < end:
            yield Chapter(start, end, dict(stored["metadata"]))


def _colour(first: av.VideoFrame, upright: Upright) -> ColourTags:
    shown = first
    if first.format.is_rgb or first.format.has_palette:
        shown = upright(first)
    return colour_of(shown)


def _siting(first: av.VideoFrame, upright: Upright, codec: str) -> str:
    """Where chroma lies in the upright pictures, as far as it is said."""
    if SHRUNK.match(first.format.name) is None or SHRUNK.match(upright.pixel_format) is None:
        return ""
    found = Siting()(first)
    if found == CENTRED and codec not in _SAY_CENTRED:
        return ""  # which is what is taken where nothing is said
    return named(upright.siting(*found))


def _length(container: InputContainer, video: VideoStream, tick: Fraction) -> Fraction | None:
    return video.duration * tick if video.duration else declared(container)


def stated_rate(video: VideoStream) -> Fraction | None:
    """Pictures per second as a file states them; None where it states the tick of its clock."""
    rate = video.average_rate or video.guessed_rate
    return rate if rate and rate < _NO_RATE else None


def _rate(video: VideoStream, times: list[int], tick: Fraction) -> Fraction | None:
    """Pictures per second: as declared, else as the first packets come."""
    if video.average_rate and video.average_rate < _NO_RATE:
        return _steady(video, times, tick) or video.average_rate
    gaps = [after - before for before, after in pairwise(sorted(times)) if after > before]
    if len(gaps) >= 2:
        # The median, of two the lower one: pictures are missing that come late in the file.
        return (1 / (sorted(gaps)[(len(gaps) - 1) // 2] * tick)).limit_denominator(1001)
    guessed = video.guessed_rate
    return guessed if guessed and guessed < _NO_RATE else None


def _steady(video: VideoStream, times: list[int], tick: Fraction) -> Fraction | None:
    """The rate that pictures keep, where the average is another for what is missing or at the end.

    None where they keep none, or one of which many are missing.
    """
    steady, average = video.base_rate, video.average_rate
    if not steady or not average or len(times) < 3 or abs(average / steady - 1) > _NEAR:
        return None
    places = [(time - min(times)) * tick * steady for time in times]
    return steady if all(abs(place - round(place)) < _NEAR for place in places) else None


def _fastest(times: list[int], tick: Fraction) -> Fraction | None:
    """Pictures per second where the first ones come closest together."""
    gaps = [after - before for before, after in pairwise(sorted(times)) if after > before]
    return (1 / (min(gaps) * tick)).limit_denominator(1001) if len(gaps) >= 2 else None


def _seconds(value: float | Fraction | None, name: str) -> Fraction | None:
    if value is None:
        return None
    seconds = Fraction(value).limit_denominator(10**9)
    if seconds < 0:
        raise UsageError(f"--{name} must be 0 seconds or more, not {float(seconds):g}")
    return seconds
