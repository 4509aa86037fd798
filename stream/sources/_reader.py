"""Reading and decoding a file, past whatever is damaged in it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.stream import Discard, Stream
from av.video.stream import VideoStream

from stream.errors import SourceError
from stream.sources._container import RAISED, explained, open_container
from stream.sources._damage import Damage
from stream.sources._decoded import Decoded
from stream.sources._description import stated_rate
from stream.sources._ending import Growth
from stream.sources._guessed import DecodeTimes, are_decode_times
from stream.sources._joined import Part, going_on, next_flv
from stream.sources._later import Later
from stream.sources._other_kinds import OtherKinds
from stream.sources._spread import Spread
from stream.sources._tags import UNKNOWN, mend_tags, unknown_colours
from stream.sources._transparency import decoder_of
from stream.system.scarcity import scarce_threads
from stream.types import AnyPacket

_log = logging.getLogger(__name__)

# Reading goes on after errors in a damaged file, but not forever.
_MAX_READ_ERRORS = 100
# Packets that tell the frame rate where the file does not.
_FIRST = 12
# Seconds that pictures take at most that are stored behind a key frame and shown before it.
_OPEN = 1


def opened(path: Path) -> tuple[InputContainer, Part | None]:
    """A file, and the first of its recordings where it holds several.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        container = open_container(path)
    except SourceError:
        # Of several FFmpeg looks for what the last one says where the first has it.
        with explained(path):
            part = Part.first(path, "mxf")
        if part is None:
            raise
        return open_container(path, part.range), part
    return container, Part.first(path, container.format.name)


class Reader:
    """The packets and pictures of an open file.

    Attributes:
        remarks: what is wrong with the file, a sentence each.
        first_times: presentation times of the first packets of the video, in ticks.
        spread: gives times to pictures without.
    """

    def __init__(
        self,
        path: Path,
        container: InputContainer,
        video: VideoStream,
        copied: Sequence[Stream],
        closing: threading.Event,
        part: Part | None = None,
    ) -> None:
        """Prepares the streams for reading.

        Args:
            path: the file, for messages and for looking again.
            container: the open file.
            video: the stream that is decoded.
            copied: the streams whose packets are handed on.
            closing: ends the reading soon once it is set.
            part: which of several recordings in the file this is; None where it is the only one.
        """
        self._damage = Damage(joined=True)
        self.remarks: list[str] = []
        self.first_times: list[int] = []
        self._path = path
        self._container = container
        self._video = video
        self._streams = [video, *copied]
        self._part = part
        self._position = 0 if part is None else part.begin
        self._closing = closing
        self._spent = 0.0
        self._last: int | None = None
        guessed = are_decode_times(path, container, video, None if part is None else part.range)
        self._times = DecodeTimes(container, video) if guessed else None
        self._sent = self._came = self._keyless = 0
        self._began = self._keyed = self._begins_keyed = self._sought = False
        self._heard: set[int] = set()
        self._later = Later(container, self._streams)
        self._others = OtherKinds(path, container, self._streams)
        self._growth = Growth(path)
        for stream in container.streams:
            if stream not in self._streams and stream not in self._later.streams:
                stream.discard = Discard.all
        video.codec_context.thread_type = ThreadType.AUTO
        self._codec = video.codec_context.codec.canonical_name
        self._decoder = decoder_of(video)
        tick = Fraction(video.time_base or Fraction(1, 1000))
        self.spread = Spread(container, tick, stated_rate(video))

    @property
    def corrupt(self) -> int:
        """Packets or pictures that came damaged, or could not be read or decoded."""
        return self._damage.count

    @property
    def left_out(self) -> list[str]:
        """What of a file that was read to its end is not taken, a sentence each."""
        return [*self._later.remarks, *self._others.remarks, *self._growth.remarks]

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
        if self._decoder is not None:
            self._decoder.flush_buffers()
        self._damage = Damage(joined=True)
        self._later.seek()
        self._heard.clear()
        self._sought = True
        self._sent = self._came = 0
        self._began = False
        self._last = None
        if self._times is not None:
            self._times.seek()

    def pieces(self) -> Iterator[AnyPacket | Decoded]:
        """Packets of the copied streams as they were read, and pictures as they are shown.

        What further recordings in the file hold comes as if it were of the first one's streams.
        """
        yield from self.spread(self._all_pieces())
        self.remarks += self.spread.remarks

    def _all_pieces(self) -> Iterator[AnyPacket | Decoded]:
        yield from self._own_pieces()
        part = self._next_part()
        if part is None or self._closing.is_set():
            return
        try:
            container = open_container(self._path, part.range)
        except SourceError as error:
            self.remarks.append(f"a further recording in the file was left out: {error}")
            return
        try:
            yield from self._continued(container, part)
        finally:
            container.close()

    def _next_part(self) -> Part | None:
        if self._part is not None and self._part.next is not None:
            return self._part.next
        if self._container.format.name != "flv" or not self._path.is_file():
            return None
        begin = next_flv(self._path, self._position)
        return None if begin is None else Part(begin, (self._path.stat().st_size,))

    def _continued(self, container: InputContainer, part: Part) -> Iterator[AnyPacket | Decoded]:
        """The pieces of a further recording, as if they were of this one's streams."""
        meant, lost = going_on(self._streams, container.streams)
        self.remarks += lost
        video = next((one for one, ours in meant.items() if ours is self._video), None)
        if not isinstance(video, VideoStream) or video.codec_context is None:
            self.remarks.append("a further recording in the file has no video and was left out")
            return
        copied = [one for one in meant if one is not video]
        reader = Reader(self._path, container, video, copied, self._closing, part)
        scale = Fraction(video.time_base or 1) / Fraction(self._video.time_base or 1)
        try:
            for piece in reader.pieces():
                if not isinstance(piece, Decoded):
                    piece.stream = meant[piece.stream]
                elif scale != 1 and piece.stored is not None:
                    piece = replace(piece, stored=round(piece.stored * scale))  # noqa: PLW2901
                yield piece
        finally:
            self._damage.count += reader.corrupt
            self.remarks += reader.remarks

    def _own_pieces(self) -> Iterator[AnyPacket | Decoded]:
        for packet in self.packets():
            # The empty packets at the end, which flush, carry no index of their own.
            if packet.stream is self._video:
                # Theora's that say that the picture before stays; to a decoder they are the end.
                if packet.size or packet.pts is None:
                    yield from self._pictures(packet)
            elif packet.size and not self._is_cut_out(packet):
                yield packet

    def _is_cut_out(self, packet: AnyPacket) -> bool:
        """Whether a list of edits hides a packet between others, or behind them.

        It comes at times that others have. Before the first one decoders may begin with it.
        """
        if not packet.is_discard:
            self._heard.add(packet.stream_index)
        return packet.is_discard and packet.stream_index in self._heard

    def packets(self) -> Iterator[AnyPacket]:
        """Every packet in read order; goes on behind damaged places."""
        for _ in range(_MAX_READ_ERRORS):
            demuxed = self._container.demux([*self._streams, *self._later.streams])
            try:
                while not self._closing.is_set():
                    began = time.perf_counter()
                    packet = next(demuxed, None)
                    self._spent += time.perf_counter() - began
                    if packet is None:
                        return
                    if self._later.has(packet):
                        continue
                    self._others.packet(packet)
                    if packet.pos is not None and packet.pos > 0:
                        begin = 0 if self._part is None else self._part.begin
                        self._position = begin + packet.pos
                    yield packet
            except RAISED as error:
                self._damage.failed()
                _log.debug("%s: a packet cannot be read: %s", self._path, error)
            else:
                return
        self.remarks.append(f"{self._path.name} cannot be read further: too much of it is damaged")

    def _pictures(self, packet: AnyPacket) -> Iterator[Decoded]:
        began = time.perf_counter()
        self._sent += packet.size > 0
        self._keyed |= packet.is_keyframe
        self._begins_keyed |= packet.is_keyframe and self._sent == 1
        self._damage.packet(packet)
        if self._times is not None:
            self._times.note(packet)
        if packet.pts is not None and len(self.first_times) < _FIRST and not packet.is_discard:
            self.first_times.append(packet.pts)
        try:
            pictures = self._decode(packet)
        except av.EOFError:
            pictures = []
        except RAISED as error:
            self._failed(error)
            pictures = []
        self._spent += time.perf_counter() - began
        for picture in pictures:
            self._damage.picture(picture)
            yield self._decoded(picture)
        if not packet.size and self._came < self._sent and not self._closing.is_set():
            yield from self._tail()

    def _decode(self, packet: AnyPacket) -> list[av.VideoFrame]:
        if self._decoder is None:
            return self._video.decode(packet)
        # Of its own it does not know the stream's clock, which empty packets do not bring.
        pictures = self._decoder.decode(packet if packet.size else None)
        for picture in pictures:
            picture.time_base = self._video.time_base or picture.time_base
            if picture.colorspace == UNKNOWN:  # which VP8 says of every picture
                picture.colorspace = self._video.codec_context.colorspace
        return pictures

    def _failed(self, error: Exception) -> None:
        if self._begins_keyed or self._began:
            self._damage.failed()
        else:
            self._keyless += 1
        self._came += 1
        if self._times is not None:
            self._times.failed()
        _log.debug("%s: a picture cannot be decoded: %s", self._path, error)

    def _decoded(self, picture: av.VideoFrame) -> Decoded:
        self._came += 1
        first, self._began = not self._began, True
        mend_tags(picture, self._codec)
        if first:
            self.remarks += unknown_colours(self._video)
        stored = picture.pts if picture.pts is not None else picture.dts
        if self._times is not None and (at := self._times(picture)) is not None:
            stored = at
        elif first and not self._sought:
            self.remarks += self._missed(stored)
        decoded = Decoded(
            picture, self._spent, stored, self._video.codec_context.sample_aspect_ratio
        )
        self._spent = 0.0
        if stored is not None:
            self._last = stored
        return decoded

    def _missed(self, first: int | None) -> list[str]:
        """That pictures before the first one that is shown cannot be, in a sentence."""
        begin = min(self.first_times, default=first)
        if first is None or begin is None or begin >= first:
            return []
        seconds = float((first - begin) * Fraction(self._video.time_base or 1))
        if self._begins_keyed and seconds > _OPEN:
            return []  # it is the key frame's time that is wrong
        return [
            f"the first {seconds:.2f} s cannot be decoded, as the key frame that they need is not "
            "in the file; the film begins behind them"
        ]

    def undecodable(self) -> SourceError:
        """That nothing of the file decodes, and why."""
        form, codec = self._container.format.name, self._video.codec_context.name
        # Of damaged data in an MP4 FFmpeg says so too.
        damaged = bool(self.corrupt or self._keyless) and form.startswith("mov")
        # An MP4 without a table of key frames calls every picture one; what is shown and needs one
        # that is not there is passed over without an error.
        keyed = self._keyed and (self._came or not self.first_times)
        if self._sent and not keyed and not damaged and not scarce_threads():
            return SourceError(
                f"{self._path} holds no key frame ({codec}), without which no picture can be "
                "decoded: its beginning is missing; cut it anew, from a key frame on"
            )
        return undecodable(self._path, codec, form)

    def _tail(self) -> Iterator[Decoded]:
        """What came out of the decoder's threads no more because of an error at the very end.

        Decoding with several threads, PyAV cannot ask on after such an error; one thread can.
        """
        if self._last is None or self._times is not None or not self._path.is_file():
            return
        if self._decoder is not None:
            return
        last = self._last
        try:
            again = open_container(self._path, self._part.range if self._part else None)
        except SourceError as error:  # it was cut off or taken away meanwhile
            _log.debug("%s: it cannot be looked at again: %s", self._path, error)
            return
        with again:
            video = again.streams[self._video.index]
            if not isinstance(video, VideoStream):
                return
            video.codec_context.thread_type = ThreadType.SLICE
            try:
                again.seek(last, stream=video)
                for packet in again.demux(video):
                    try:
                        pictures = video.decode(packet)
                    except RAISED as error:
                        if packet.pts is not None and packet.pts > last:
                            self._failed(error)
                        continue
                    for picture in pictures:
                        if picture.pts is not None and picture.pts > last:
                            yield self._decoded(picture)
            except RAISED as error:
                _log.debug("%s: looking again at the end failed: %s", self._path, error)


def undecodable(path: Path, codec: str, form: str = "") -> SourceError:
    """That nothing of a video file decodes, and why.

    Args:
        path: of the file.
        codec: the name of its video's.
        form: FFmpeg's name of its format.
    """
    # FFmpeg's decoders have threads, and without them give nothing, as of a damaged file.
    if short := scarce_threads():
        return SourceError(f"{path} cannot be decoded: {'; '.join(short)}")
    if form.startswith("mov") and not path.is_file():
        return SourceError(
            f"no picture of {path} can be reached: it is a pipe, which nobody goes back in, and "
            "MP4s mostly have their index behind their pictures; name the film's own file, or pipe "
            "it as Matroska, or with its index in front (ffmpeg -movflags +faststart)"
        )
    return SourceError(
        f"{path} holds no picture that can be decoded; it is damaged or its codec ({codec}) is not "
        "supported here"
    )
