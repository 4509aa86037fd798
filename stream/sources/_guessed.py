"""Files that store when pictures are decoded as if it were when they are shown."""

from __future__ import annotations

import heapq
import itertools
import logging
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from stream.errors import SourceError
from stream.sources._container import RAISED, open_container
from stream.types import AnyPacket

_log = logging.getLogger(__name__)

# AVI has no other times. Some writers of the others do not know better.
_ALWAYS = {"avi"}
_PERHAPS = {"asf", "mxf", "rm", "wtv"}
# Pictures out of order follow each other at once.
_LOOKED_AT = 24


def are_decode_times(
    path: Path,
    container: InputContainer,
    video: VideoStream,
    part: tuple[int, int] | None = None,
) -> bool:
    """Whether the n-th picture that is shown has the n-th of a stream's times, not its own.

    Args:
        path: the file, which is looked into once more where its container leaves it open.
        container: the open file.
        video: its stream.
        part: the bytes that are the recording; None where that is the whole file.
    """
    if container.format.name in _ALWAYS:
        return True
    if container.format.name not in _PERHAPS or not video.codec_context.reorder_depth:
        return False
    if not path.is_file():  # to look into a pipe would be to read it
        return False
    read: list[int] = []
    shown: list[int] = []
    try:
        with open_container(path, part) as again:
            stream = again.streams[video.index]
            assert isinstance(stream, VideoStream)
            for packet in itertools.islice(again.demux(stream), 2 * _LOOKED_AT):
                read += [packet.pts] if packet.pts is not None else []
                shown += [
                    picture.pts for picture in stream.decode(packet) if picture.pts is not None
                ]
                if len(shown) >= _LOOKED_AT:
                    break
    except (SourceError, *RAISED, av.EOFError) as error:
        _log.debug("%s: what its times are cannot be told: %s", path, error)
    return read == sorted(read) and shown != sorted(shown)


class DecodeTimes:
    """The times of such a file's pictures: the n-th that is shown has the n-th of them.

    Args:
        container: the open file.
        video: its stream.
    """

    def __init__(self, container: InputContainer, video: VideoStream) -> None:
        self._video = video
        # What FFmpeg takes for AVI's times of showing is a guess of its own.
        self._always = container.format.name in _ALWAYS
        self._slots = container.format.name == "mxf"
        self._begin(jumped=False)

    def _begin(self, *, jumped: bool) -> None:
        self._ended = False
        self._times: list[int] = []
        self._noted: int | None = None
        # How much later than it is decoded a picture is shown. What FFmpeg says of the first one is
        # no more than a guess, as it does not know yet how far out of order they come; so that one
        # is open until the next has told.
        self._lag = 0
        self._told = self._always
        self._open: list[int] = []
        # Since a jump, up to the first picture: when packets are decoded.
        self._jumped: list[int] | None = [] if jumped else None

    def seek(self) -> None:
        """Reading goes on from another place."""
        self._begin(jumped=True)

    def note(self, packet: AnyPacket) -> None:
        """Takes the times of a packet that is to be decoded, and mends them; the end is empty."""
        self._ended = not packet.size
        if self._ended:
            return
        if self._slots and packet.pts is not None:
            # FFmpeg replaces it by a guess where one picture comes out of order.
            packet.dts = packet.pts
        at, shown = packet.dts, None if self._always else packet.pts
        if at is None and shown is not None:
            at, self._lag, self._told = shown, 0, True
        elif at is not None and shown is not None:
            self._lag, self._told = shown - at, self._told or bool(self._open)
        elif at is None and self._noted is not None and not self._always:
            # Behind a jump FFmpeg leaves the second packet of ASF without.
            rate = self._video.average_rate
            step = round(1 / (rate * Fraction(packet.time_base))) if rate else 0
            at, self._lag, self._told = self._noted + step, step, True
        if at is None:
            return
        self._noted = at
        if self._jumped is not None:
            self._jumped.append(at)
        self._open.append(at)
        if self._told:
            self._settle()

    def _settle(self) -> None:
        for at in self._open:
            heapq.heappush(self._times, at + self._lag)
        self._open.clear()

    def failed(self) -> None:
        """A packet could not be decoded, so that no picture comes of it."""
        self._settle()
        if self._times:
            heapq.heappop(self._times)
        if self._jumped:
            del self._jumped[0]

    def __call__(self, picture: av.VideoFrame) -> int | None:
        """The time of the next picture that is shown, in ticks; None where none is left.

        Args:
            picture: as it came from the decoder.
        """
        self._settle()
        if self._jumped:
            # Pictures that are shown before it need the group before, and are not decoded. It came
            # with a packet that is as far behind its own as pictures come out of order, or at the
            # end.
            sent = len(self._jumped) if self._ended else 0
            if picture.dts is not None:
                sent = sum(at < picture.dts for at in self._jumped)
            for _ in range(sent - self._video.codec_context.reorder_depth):
                if len(self._times) > 1:
                    heapq.heappop(self._times)
        self._jumped = None
        return heapq.heappop(self._times) if self._times else None
