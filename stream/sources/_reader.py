"""Reading and decoding a file, past whatever is damaged in it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Stream
from av.video.stream import VideoStream

from stream.sources._container import open_container

_log = logging.getLogger(__name__)

# Reading goes on after errors in a damaged file, but not forever.
_MAX_READ_ERRORS = 100
# Packets that tell the frame rate where the file does not.
_FIRST = 12


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture as it came from the decoder.

    Attributes:
        picture: the picture.
        seconds: that reading and decoding it took.
    """

    picture: av.VideoFrame
    seconds: float

    @property
    def stored(self) -> int | None:
        """The picture's time in ticks of its stream, where the file says."""
        return self.picture.pts if self.picture.pts is not None else self.picture.dts


class Reader:
    """The packets and pictures of an open file.

    Attributes:
        corrupt: packets or pictures that could not be read or decoded.
        remarks: what is wrong with the file, a sentence each.
        first_times: presentation times of the first packets of the video, in ticks.
    """

    def __init__(
        self,
        path: Path,
        container: InputContainer,
        video: VideoStream,
        copied: Sequence[Stream],
        closing: threading.Event,
    ) -> None:
        """Prepares the streams for reading.

        Args:
            path: the file, for messages and for looking again.
            container: the open file.
            video: the stream that is decoded.
            copied: the streams whose packets are handed on.
            closing: ends the reading soon once it is set.
        """
        self.corrupt = 0
        self.remarks: list[str] = []
        self.first_times: list[int] = []
        self._path = path
        self._container = container
        self._video = video
        self._streams = [video, *copied]
        self._closing = closing
        self._spent = 0.0
        self._last: int | None = None
        self._sent = self._came = 0
        for stream in container.streams:
            if stream not in self._streams:
                stream.discard = Discard.all
        video.codec_context.thread_type = ThreadType.AUTO

    def seek(self, ticks: int) -> None:
        """Goes to the last keyframe at or before a time in ticks of the video's clock."""
        depth = self._video.codec_context.reorder_depth
        try:
            self._container.seek(ticks, stream=self._video)
        except av.FFmpegError as error:
            # Without an index reading goes on from where it is, which is no later.
            _log.debug("%s: seeking to tick %d failed: %s", self._path, ticks, error)
        # FFmpeg forgets how many pictures come out of order, and would drop some.
        self._video.codec_context.reorder_depth = depth
        self.corrupt = 0
        self._sent = self._came = 0
        self._last = None

    def pieces(self) -> Iterator[Packet[Any] | Decoded]:
        """Packets of the copied streams as they were read, and pictures as they are shown."""
        for packet in self.packets():
            # The empty packets at the end, which flush, carry no index of their own.
            if packet.stream is self._video:
                yield from self._pictures(packet)
            elif packet.size:
                yield packet

    def packets(self) -> Iterator[Packet[Any]]:
        """Every packet in read order; goes on behind damaged places."""
        for _ in range(_MAX_READ_ERRORS):
            demuxed = self._container.demux(self._streams)
            try:
                while not self._closing.is_set():
                    began = time.perf_counter()
                    packet = next(demuxed, None)
                    self._spent += time.perf_counter() - began
                    if packet is None:
                        return
                    yield packet
            except av.FFmpegError as error:
                self.corrupt += 1
                _log.debug("%s: a packet cannot be read: %s", self._path, error)
            else:
                return
        self.remarks.append(f"{self._path.name} cannot be read further: too much of it is damaged")

    def _pictures(self, packet: Packet[Any]) -> Iterator[Decoded]:
        began = time.perf_counter()
        self._sent += packet.size > 0
        if packet.pts is not None and len(self.first_times) < _FIRST:
            self.first_times.append(packet.pts)
        try:
            pictures = self._video.decode(packet)
        except av.EOFError:
            pictures = []
        except av.FFmpegError as error:
            self._failed(error)
            pictures = []
        self._spent += time.perf_counter() - began
        for picture in pictures:
            self.corrupt += picture.is_corrupt
            yield self._decoded(picture)
        if not packet.size and self._came < self._sent and not self._closing.is_set():
            yield from self._tail()

    def _failed(self, error: Exception) -> None:
        self.corrupt += 1
        self._came += 1
        _log.debug("%s: a picture cannot be decoded: %s", self._path, error)

    def _decoded(self, picture: av.VideoFrame) -> Decoded:
        self._came += 1
        decoded = Decoded(picture, self._spent)
        self._spent = 0.0
        if decoded.stored is not None:
            self._last = decoded.stored
        return decoded

    def _tail(self) -> Iterator[Decoded]:
        """What came out of the decoder's threads no more because of an error at the very end.

        Decoding with several threads, PyAV cannot ask on after such an error; one thread can.
        """
        if self._last is None or not self._path.is_file():
            return
        last = self._last
        with open_container(self._path) as again:
            video = again.streams[self._video.index]
            if not isinstance(video, VideoStream):
                return
            video.codec_context.thread_type = ThreadType.SLICE
            try:
                again.seek(last, stream=video)
                for packet in again.demux(video):
                    try:
                        pictures = video.decode(packet)
                    except av.FFmpegError as error:
                        if packet.pts is not None and packet.pts > last:
                            self._failed(error)
                        continue
                    for picture in pictures:
                        if picture.pts is not None and picture.pts > last:
                            yield self._decoded(picture)
            except av.FFmpegError as error:
                _log.debug("%s: looking again at the end failed: %s", self._path, error)
