"""Whether a result is all of what it should be, or what a run has left that was killed."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from stream.errors import StreamError
from stream.frame import Frame
from stream.settings.options import CameraOptions, CutOptions, InputOptions
from stream.sources._container import RAISED, choose_video, open_container
from stream.sources._ending import declared_end
from stream.sources.file import FileSource
from stream.sources.numbered import NumberedSource

_SHORT = 0.5
"""Seconds by which lengths that files declare differ for other reasons than a missing end."""

_SOUND = Fraction(1, 10)
"""Seconds by which sound ends earlier once it was encoded anew."""

_TAIL = 10
"""Seconds before a file's declared end from which on it is read."""

_END = Fraction(2)
"""Likewise, from which on it is decoded."""


@dataclass(frozen=True, slots=True)
class _Reach:
    """How far a file goes.

    Attributes:
        pictures: seconds from the first picture to the last one.
        gap: seconds between the last two pictures.
        tick: the finest that its clock can tell, in seconds; 0 where its times are exact.
        sound: seconds from the first picture to the end of the sound that ends first; None where
            there is none.
    """

    pictures: Fraction
    gap: Fraction
    tick: Fraction
    sound: Fraction | None = None

    def is_as_far_as(self, wanted: _Reach) -> bool:
        """Whether the last picture, and the sound, of another are there too."""
        least = wanted.pictures - max(wanted.gap / 2, wanted.tick + self.tick)
        if self.sound is not None and wanted.sound is not None:
            heard = self.sound > wanted.sound - _SOUND
        else:
            heard = True  # sound that is left out was said to be
        return heard and self.pictures > least


def finished(source: Path, output: Path, cut: CutOptions, fps: float | None = None) -> bool:
    """Whether a result is there and goes to the last picture that it should have.

    Lengths that differ are enough to say no. Else the ends of both files are read, and decoded only
    where pictures are stored that do not come out, as in damaged ones.

    Args:
        source: the input.
        output: its result.
        cut: the part that is taken.
        fps: pictures a second of an input that is numbered pictures; None for the usual ones.
    """
    if NumberedSource.accepts(source):
        film = _numbered(source, cut, fps) if output.exists() else None
        if film is None:
            return False  # the run says what is wrong
        there, wanted = _stored(output) or _decoded(output, CutOptions()), film.reach
        # Of another rate it goes too far.
        return there is not None and there.is_as_far_as(wanted) and wanted.is_as_far_as(there)
    if not _may_be_whole(source, output, cut):
        return False
    if cut.limit is not None and _count(output, cut.limit) >= cut.limit:
        return True
    if cut.start is None and cut.end is None:
        made, given = _stored(output), _stored(source)
        if made is not None and given is not None and made.is_as_far_as(given):
            return True
    made, given = _decoded(output, CutOptions()), _decoded(source, cut)
    # Of what cannot be read nothing more can be made.
    return given is None or (made is not None and made.is_as_far_as(given))


@dataclass(frozen=True, slots=True)
class _Numbered:
    """A film of numbered pictures.

    Attributes:
        reach: how far it goes.
        last: when its last picture comes, in seconds.
    """

    reach: _Reach
    last: Fraction


def _numbered(pattern: Path, cut: CutOptions, fps: float | None) -> _Numbered | None:
    """What is to come of numbered pictures; None where nothing does."""
    try:
        asked = InputOptions(cut, camera=CameraOptions(fps=fps))
        with NumberedSource.from_target(pattern, asked) as source:
            *_, last = times = source.last_times()
            reach = _Reach(last - source.begins, last - times[0], tick=Fraction(0))
            return _Numbered(reach, last)
    except (StreamError, ValueError):  # the last one was taken away meanwhile
        return None


def declared_pictures(path: Path) -> int:
    """How many pictures a file says that it holds; 0 where it does not say."""
    if NumberedSource.accepts(path):
        return 0
    with suppress(StreamError, OSError, *RAISED), open_container(path) as container:
        return choose_video(container, path)[0].frames
    return 0


def count_that_come(path: Path, cut: CutOptions, fps: float | None = None) -> int:
    """How many pictures come of a part of a film: each is read, damaged ones are not counted.

    Args:
        path: a file, or the pattern of numbered pictures.
        cut: the part.
        fps: pictures a second of numbered pictures; None for the usual ones.
    """
    asked = InputOptions(cut, camera=CameraOptions(fps=fps))
    kind = NumberedSource if NumberedSource.accepts(path) else FileSource
    try:
        with kind.from_target(path, asked) as source:
            return sum(isinstance(item, Frame) for item in source)
    except StreamError:
        return sys.maxsize  # the run says what is wrong


@dataclass(frozen=True, slots=True)
class LastPicture:
    """When the last picture of a part comes, on its frames' clock.

    Attributes:
        at: in seconds.
        gap: seconds since the one before it.
    """

    at: Fraction
    gap: Fraction


def last_picture(path: Path, cut: CutOptions, fps: float | None = None) -> LastPicture | None:
    """The last picture of a part of a film; None where there is none, or it cannot be read.

    Args:
        path: a file, or the pattern of numbered pictures.
        cut: the part.
        fps: pictures a second of numbered pictures; None for the usual ones.
    """
    if NumberedSource.accepts(path):
        film = _numbered(path, cut, fps)
        return None if film is None else LastPicture(film.last, film.reach.gap)
    begin = None if cut.start is None else Fraction(cut.start)
    try:
        with FileSource(path, start=begin, end=cut.end) as source:
            first = next(_times(source), None)
    except StreamError:
        return None
    whole = cut.start is None and cut.end is None
    reach = (_stored(path) if whole else None) or _decoded(path, cut)
    return (
        None if first is None or reach is None else LastPicture(first + reach.pictures, reach.gap)
    )


def _may_be_whole(source: Path, output: Path, cut: CutOptions) -> bool:
    """Whether a result is there and about as long as it should be, as far as files declare it."""
    there, whole = _length(output) if output.exists() else None, _length(source)
    if there is None or whole is None:
        return there is not None
    wanted = (whole[0] if cut.end is None else min(cut.end, whole[0])) - (cut.start or 0.0)
    if cut.limit is not None and whole[1]:
        wanted = min(wanted, cut.limit / whole[1])
    return there[0] >= wanted - _SHORT


def _length(path: Path) -> tuple[float, float] | None:
    """A video's seconds and frames a second, by its container; None where it cannot be read."""
    try:
        with open_container(path) as container:
            if not container.streams.video or container.duration is None:
                return None
            rate = container.streams.video[0].average_rate
            return container.duration / av.time_base, float(rate or 0)
    except (StreamError, OSError, *RAISED):
        return None


def _count(path: Path, most: int) -> int:
    """How many pictures a file holds, up to `most`."""
    count = 0
    with suppress(StreamError, OSError, *RAISED), open_container(path) as container:
        for packet in container.demux(choose_video(container, path)[0]):
            count += packet.size > 0
            if count == most:
                break
    return count


def _stored(path: Path) -> _Reach | None:
    """How far a file goes by the times of its last packets; None where they do not tell."""
    try:
        with open_container(path) as container:
            video, _ = choose_video(container, path)
            end = declared_end(container, video, exact=False)
            if video.start_time is None or video.time_base is None or end is None:
                return None
            tick = video.time_base
            if end > _TAIL:
                container.seek(int((end - _TAIL) / tick), stream=video)
            pictures: list[int] = []
            sound: dict[int, Fraction] = {}
            for packet in container.demux([video, *container.streams.audio]):
                if not packet.size or packet.pts is None or packet.is_discard:
                    continue
                if packet.stream_index == video.index:
                    pictures = sorted([*pictures, packet.pts])[-2:]
                else:
                    ends = (packet.pts + (packet.duration or 0)) * packet.time_base
                    index = packet.stream_index
                    sound[index] = max(ends, sound.get(index, ends))
            if not pictures:
                return None
            first = video.start_time
            heard = min(sound.values()) - first * tick if sound else None
            gap = pictures[-1] - pictures[0] if len(pictures) > 1 else 0
            return _Reach((pictures[-1] - first) * tick, gap * tick, tick, heard)
    except (StreamError, OSError, *RAISED):
        return None


def _decoded(path: Path, cut: CutOptions) -> _Reach | None:
    """How far the pictures of a part of a file go; None where there are none."""
    begin = Fraction(cut.start or 0)
    try:
        with FileSource(path, start=begin, end=cut.end) as source:
            length = source.info.duration
            first = next(_times(source), None)
        if first is None:
            return None
        later = max(Fraction(0), (length or Fraction(0)) - _END)
        with FileSource(path, start=begin + later, end=cut.end) as source:
            tick = source.info.time_base
            pictures = [later + at for at in deque(_times(source), 2)]
    except StreamError:
        return None
    if not pictures:
        return None
    return _Reach(pictures[-1] - first, pictures[-1] - pictures[0], tick)


def _times(source: FileSource) -> Iterator[Fraction]:
    return (item.pts * item.time_base for item in source if isinstance(item, Frame))
