"""Streams that come up within a connection, of which PyAV shows only those that it began with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import chain

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from stream.sources._numerals import read_plainly
from stream.system.channels import let_be
from stream.types import AnyPacket

UNREAD = (
    "something came up in {} while it was open and is left out; if it is sound, recordings have "
    "none of it"
)
"""What is said of a source with such streams, by its name."""

_LOOK = 32
"""Packets after which it is looked again."""
_MUTE = 100
"""Packets of the picture without one of sound after which that is taken to have ended."""


def is_known(stream: AudioStream) -> bool:
    """Whether it is known what a stream of sound is like.

    One that is announced and silent while a connection is opened has no rate and no channels, so
    that nothing can be made of it as long as the connection stands.
    """
    context = stream.codec_context
    if not context or not context.sample_rate:
        return False
    let_be(context)
    return context.channels > 0


class Arrivals:
    """The packets of a connection's streams, and whether more streams have come up.

    Args:
        container: the connection.
        streams: whose packets are wanted.
        silent: that were announced, and of which it is not known what they are like.
        looking: whether it matters that there are others.

    Attributes:
        more: whether there are streams that were not there at first, of which it is not known what
            they are, or packets of silent ones.
        mute: whether sound that there was has not come for a while.
    """

    def __init__(
        self,
        container: InputContainer,
        streams: Sequence[AudioStream | VideoStream],
        silent: Sequence[AudioStream] = (),
        *,
        looking: bool,
    ) -> None:
        self._container, self._streams = container, [*streams, *silent]
        self._silent = tuple(silent)
        self._next = _stream_of_number(len(container.streams)) if looking else None
        self.more = False
        self._since_sound = 0
        self._ends: dict[int, int] = {}

    @property
    def mute(self) -> bool:
        return self._since_sound > _MUTE

    def __iter__(self) -> Iterator[AnyPacket]:
        packets: Iterator[AnyPacket] = self._container.demux(self._streams)
        if self._container.format.name == "hls":
            packets = read_plainly(packets)
        while True:
            for count, packet in enumerate(packets, 1):
                if packet.stream not in self._silent:
                    sounds = packet.stream.type == "audio"
                    self._since_sound = 0 if sounds else self._since_sound + 1
                    if sounds:
                        self._time(packet)
                    yield packet
                elif packet.size:
                    self.more = True
                if self._next is not None and count >= _LOOK and packet.size:
                    break
            else:
                return
            packets = self._looked()

    def _time(self, packet: AnyPacket) -> None:
        """Gives sound a time that has none: it follows what came before.

        So it is of what FFmpeg took apart before it knew how long each packet lasts, which is the
        first third of a second of a broadcast.
        """
        index, context = packet.stream_index, packet.stream.codec_context
        if packet.dts is None and packet.pts is None and packet.size and index in self._ends:
            packet.pts = packet.dts = self._ends[index]
        begin = packet.dts if packet.dts is not None else packet.pts
        lasts = packet.duration
        if not lasts and context.frame_size and context.sample_rate and packet.time_base:
            lasts = round(context.frame_size / (context.sample_rate * packet.time_base))
        self._ends.pop(index, None)
        if begin is not None and lasts:
            self._ends[index] = begin + lasts

    def _looked(self) -> Iterator[AnyPacket]:
        """What is read on, once it was asked for a stream more than there was at first.

        PyAV refuses that before it reads, unless FFmpeg has so many by now.
        """
        assert self._next is not None
        asked: Iterator[AnyPacket] = self._container.demux([*self._streams, self._next])
        try:
            first = next(asked)
        except av.FFmpegError:
            raise
        except ValueError:
            return self._container.demux(self._streams)
        self.more, self._next = True, None
        return chain([first], asked)


def _stream_of_number(number: int) -> Stream:
    """A stream that has this number, in a container that is never written."""
    holder = av.open(os.devnull, "w", format="null")
    return [holder.add_stream("pcm_s16le", rate=8000) for _ in range(number + 1)][-1]
