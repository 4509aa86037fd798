"""Parts of a long video file, cut where a picture stands for itself, on the clock of the whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from av import VideoFrame
from av.container import InputContainer
from av.stream import Stream

from stream.frame import Frame, Item, Passthrough
from stream.sources._container import RAISED, open_container
from stream.sources._reader import Reader
from stream.sources.file import FileSource
from stream.types import AnyPacket

_LEAST = Fraction(1, 4)
"""Of the length asked for: a last part that is shorter goes with the one before it."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How a file is cut.

    Attributes:
        begins: where parts begin, in ticks on the frames' clock; none where it is not cut.
        why_not: why it is not, in words; "" where it is, or is short.
    """

    begins: tuple[int, ...] = ()
    why_not: str = ""


def cut(path: Path, seconds: Fraction) -> Cut:
    """Finds where a file can be cut so that parts are some `seconds` long, or longer.

    Every packet of the video is read, none is decoded: an index may be missing or wrong.

    Args:
        path: the file.
        seconds: of a part, at least; the first key frame from there on begins the next.

    Raises:
        SourceError: it cannot be read.
    """
    with _Cuttable(path) as source:
        length = source.info.duration
        return Cut() if length is not None and length <= seconds else source.cut_into(seconds)


class _Cuttable(FileSource):
    """A file that says where it can be cut."""

    def cut_into(self, seconds: Fraction) -> Cut:
        """See `cut`."""
        if self._part is not None:
            return Cut(why_not="it is several recordings in one")
        zero, tick = round(self._timeline.zero / self._tick), self._tick
        begins: list[int] = []
        last = end = None
        with open_container(self.path) as container:
            for packet in _packets(container, container.streams[self._index]):
                if packet.pts is None:
                    return Cut(why_not="its pictures have no times of their own")
                at = packet.pts - zero
                end = at if end is None else max(end, at)
                if not packet.is_keyframe:
                    continue
                if last is not None and at <= last:
                    return Cut(why_not="its clock starts over in the middle")
                last = at
                if not begins or (at - begins[-1]) * tick >= seconds:
                    begins.append(at)
        if len(begins) > 1 and end is not None and (end - begins[-1]) * tick < seconds * _LEAST:
            begins.pop()
        if len(begins) > 1:
            return Cut(tuple(begins))
        long = end is not None and bool(begins) and (end - begins[0]) * tick > seconds
        return Cut(why_not="it has no key frame to be cut at" if long else "")


def _packets(container: InputContainer, video: Stream) -> Iterator[AnyPacket]:
    demuxed = container.demux(video)
    while True:
        try:
            packet = next(demuxed, None)
        except RAISED:
            return  # what is damaged is found where it is decoded
        if packet is None:
            return
        if packet.size and not packet.is_discard:
            yield packet


class FilePart(FileSource):
    """The pictures of a file from a key frame on, up to the file's end, at the whole's times.

    Args:
        path: the file.
        begin: in ticks on the frames' clock; None for the file's beginning.
    """

    def __init__(self, path: Path, begin: int | None) -> None:
        self._begin = begin
        super().__init__(path)

    def _wanted(self, began: Fraction) -> tuple[Fraction | None, Fraction | None]:
        return None if self._begin is None else self._begin * self._tick, None

    def _remark_end(self) -> None:
        return  # that a file is cut short is said where all of it is read

    @property
    def broken(self) -> bool:
        """Whether its clock does not run through, or something in it could not be decoded."""
        return (
            self._timeline.broken
            or bool(self._timeline.nudged or self._reader.spread.count)
            or self.corrupt > 0
        )


class FileCopies(FileSource):
    """All of a file but its pictures, for which frames stand in that show nothing.

    Args:
        path: the file.
        times: of the pictures in presentation order, and how long each lasts, in ticks.
    """

    def __init__(self, path: Path, times: Sequence[tuple[int, int | None]]) -> None:
        super().__init__(path)
        self._times = times

    def _items(self) -> Iterator[Item]:
        blank = VideoFrame(self.info.width, self.info.height, self.info.pixel_format)
        frames = iter(
            Frame(blank, index, pts, self._tick, duration)
            for index, (pts, duration) in enumerate(self._times)
        )
        furthest: int | None = None
        with open_container(self.path) as again:
            video = again.streams.video[
                [one.index for one in again.streams.video].index(self._index)
            ]
            copied = [again.streams[one.index] for one in self._copied]
            reader = Reader(self.path, again, video, copied, self._closing)
            for packet in reader.packets():
                if packet.stream_index != self._index:
                    if packet.size and (placed := self._placing(packet)) is not None:
                        yield Passthrough((placed,))
                    continue
                if packet.size and packet.pts is not None:
                    # The clock runs with the pictures, which are read a little out of order.
                    if furthest is None or packet.pts > furthest:
                        furthest = packet.pts
                        self._timeline.shifted(furthest, 1, self._tick, self._index)
                    yield from self._next(frames)
        while item := next(frames, None):
            yield item

    def _next(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        frame = next(frames, None)
        if frame is not None:
            yield frame
