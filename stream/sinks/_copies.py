"""Sound, subtitles and the rest: copied as they are, or converted where they must be."""

from __future__ import annotations

import io
import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, cast

import av
from av.bitstream import BitStreamFilterContext
from av.codec.context import CodecContext
from av.container import OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Disposition, Stream

from stream.errors import SinkError
from stream.sinks._containers import ContainerKind, refusal
from stream.sinks._muxer import Muxer

_log = logging.getLogger(__name__)

_PEOPLE_SAY = {"audio": "sound", "subtitle": "subtitles", "data": "data"}
# Set by the muxer itself, or untrue of the new file.
_NOT_KEPT = {"encoder", "duration", "vendor_id", "handler_name", "number_of_bytes", "_statistics"}


class _Track(ABC):
    """One stream of the output that is not the picture."""

    @abstractmethod
    def write(self, packet: Packet[Any]) -> None:
        """Takes one packet of the input's stream, to do with as it likes."""

    def finish(self) -> None:
        """Writes what is still inside."""
        return


class _Copied(_Track):
    """A stream whose packets are handed on byte for byte."""

    def __init__(self, muxer: Muxer, stream: Stream) -> None:
        self._muxer = muxer
        self._stream = stream
        self._last: int | None = None
        self.lost = 0

    def write(self, packet: Packet[Any]) -> None:
        packet.stream = self._stream
        duration = packet.duration or 1
        # Muxers refuse times that do not grow; damaged files have some that do not.
        if packet.dts is None:
            packet.dts = packet.pts if packet.pts is not None else (self._last or 0) + duration
        if self._last is not None and packet.dts <= self._last:
            packet.dts = self._last + 1
        if packet.pts is None or packet.pts < packet.dts:
            packet.pts = packet.dts
        last = packet.dts
        try:
            self._muxer.mux(packet)
        except (av.InvalidDataError, av.ArgumentError) as error:
            self.lost += 1
            _log.debug("a packet of stream %d is not taken: %s", self._stream.index, error)
            return
        self._last = last


class _Unwrapped(_Copied):
    """AAC whose packets each carry a header that MP4 keeps once for the whole track.

    FFmpeg would take the headers off by itself, but not while it delays the file's header.
    """

    def __init__(self, muxer: Muxer, stream: Stream, template: Stream) -> None:
        super().__init__(muxer, stream)
        self._unwrap = BitStreamFilterContext("aac_adtstoasc", template)

    def write(self, packet: Packet[Any]) -> None:
        time_base = packet.time_base
        try:
            unwrapped = self._unwrap.filter(packet)
        except av.FFmpegError as error:
            self.lost += 1
            _log.debug("a packet of sound has no header: %s", error)
            return
        for bare in unwrapped:
            bare.time_base = time_base
            super().write(bare)


class _Reencoded(_Track):
    """Sound in a codec that the container cannot hold."""

    def __init__(self, muxer: Muxer, template: Any, encoder: str) -> None:
        self._muxer = muxer
        self._decoder: Any = _own_decoder(template)
        rate = 48000 if encoder == "libopus" else self._decoder.sample_rate
        self.stream: Any = muxer.container.add_stream(encoder, rate=rate)
        context: Any = self.stream.codec_context
        layout = self._decoder.layout
        # Every encoder used here takes these two.
        context.layout = layout if layout.nb_channels <= 2 else "stereo"
        context.bit_rate = 160_000
        self.lost = 0

    def write(self, packet: Packet[Any]) -> None:
        try:
            frames = self._decoder.decode(packet)
        except av.FFmpegError as error:
            self.lost += 1
            _log.debug("sound cannot be decoded: %s", error)
            return
        self._encode(frames)

    def finish(self) -> None:
        try:
            self._encode(self._decoder.decode(None))
        except av.FFmpegError as error:
            _log.debug("the last sound cannot be decoded: %s", error)
        self._mux(self.stream.encode(None))

    def _encode(self, frames: Sequence[Any]) -> None:
        for frame in frames:
            self._mux(self.stream.encode(frame))

    def _mux(self, packets: Sequence[Packet[Any]]) -> None:
        for packet in packets:
            self._muxer.mux(packet)


class _Retold(_Track):
    """Text subtitles in a form that the container cannot hold."""

    def __init__(self, muxer: Muxer, template: Any, encoder: str) -> None:
        self._muxer = muxer
        self._decoder: Any = _own_decoder(template)
        self._decoder.open()
        self.stream: Any = muxer.container.add_stream(encoder)
        # How text looks; every text decoder gives it and every text encoder wants it.
        self._encoder = cast(Any, self.stream.codec_context)
        self._encoder.subtitle_header = self._decoder.subtitle_header
        self.stream.time_base = template.time_base
        self.lost = 0

    def write(self, packet: Packet[Any]) -> None:
        try:
            told = self._decoder.decode2(packet)
            retold = None if told is None else self._encoder.encode_subtitle(told)
        except av.FFmpegError as error:
            self.lost += 1
            _log.debug("a subtitle cannot be converted: %s", error)
            return
        if retold is None or not retold.size:
            return
        retold.stream = self.stream
        retold.time_base = packet.time_base
        retold.pts = retold.dts = packet.pts
        retold.duration = packet.duration
        self._muxer.mux(retold)


class Copies:
    """All streams of the output that are not the picture.

    Attributes:
        remarks: what is converted or left out and why, a sentence each.
    """

    def __init__(self, muxer: Muxer, streams: Sequence[Stream], kind: ContainerKind) -> None:
        self.remarks: list[str] = []
        self._tracks: dict[int, _Track] = {}
        for stream in streams:
            _check_open(stream)
            self._add(muxer, stream, kind)

    def write(self, packet: Packet[Any], index: int) -> None:
        """Hands a packet to its stream; packets of streams that were left out are dropped.

        Args:
            packet: one that nobody else holds; its times are changed.
            index: of the input's stream that it belongs to.
        """
        track = self._tracks.get(index)
        if track is not None:
            track.write(packet)

    def finish(self) -> None:
        """Writes what re-encoding still holds back."""
        for track in self._tracks.values():
            track.finish()
        lost = sum(getattr(track, "lost", 0) for track in self._tracks.values())
        if lost:
            self.remarks.append(f"{lost} damaged packets of sound or subtitles were left out")

    def _add(self, muxer: Muxer, stream: Stream, kind: ContainerKind) -> None:
        if isinstance(stream, AttachmentStream):
            self._attach(muxer.container, stream, kind)
            return
        name = _codec_name(stream)
        what = f"stream {stream.index}, {_PEOPLE_SAY.get(stream.type, stream.type)} ({name}), is"
        why = refusal(kind, lambda trial: trial.add_stream_from_template(stream, opaque=True))
        if why is None:
            copy = muxer.container.add_stream_from_template(stream, opaque=True)
            _describe(copy, stream)
            self._tracks[stream.index] = (
                _Unwrapped(muxer, copy, stream)
                if kind.by_decode_time and _carries_headers(stream)
                else _Copied(muxer, copy)
            )
            return
        track: _Reencoded | _Retold | None = None
        if stream.type == "audio" and name != "unknown":
            track = _Reencoded(muxer, stream, kind.audio)
            into = f"re-encoded with {kind.audio}"
        elif stream.type == "subtitle" and kind.subtitles and _is_text(stream):
            track = _Retold(muxer, stream, kind.subtitles)
            into = f"converted to {kind.subtitles}"
        if track is None:
            self.remarks.append(f"{what} left out: {kind.format} does not hold it")
            return
        _describe(track.stream, stream)
        self._tracks[stream.index] = track
        self.remarks.append(f"{what} {into}: {kind.format} does not hold it as it is")

    def _attach(
        self, container: OutputContainer, stream: AttachmentStream, kind: ContainerKind
    ) -> None:
        name, mime, data = stream.name or "attachment", stream.mimetype or "", stream.data
        why = refusal(kind, lambda trial: trial.add_attachment(name, mime, data))
        if why is None:
            container.add_attachment(name, mime, data)
        else:
            self.remarks.append(f"the attachment {name} is left out: {kind.format} holds none")


def _check_open(stream: Stream) -> None:
    """Refuses a stream of a file that is closed, of which nothing may be read any more."""
    try:
        _ = stream.container.flags
    except AssertionError as error:
        raise SinkError(
            "the input is closed already, so its sound and subtitles cannot be copied; open the "
            "output while the input is open"
        ) from error


def _own_decoder(stream: Stream) -> Any:
    """A decoder for a stream's packets that no other output shares."""
    # PyAV makes a context with all of a stream's parameters for a stream of an output only; the
    # null format takes every codec.
    nowhere = av.open(io.BytesIO(), "w", format="null")
    context = nowhere.add_stream_from_template(stream, opaque=True).codec_context
    context.options = {"pkt_timebase": str(stream.time_base)}
    return context


def _codec_name(stream: Stream) -> str:
    # PyAV's types do not say that there is none where nothing can decode the stream.
    context: CodecContext | None = stream.codec_context
    return (stream.name or "unknown") if context is None else context.name


def _carries_headers(stream: Stream) -> bool:
    """Whether a stream is AAC as in MPEG-TS, with a header in every packet."""
    context: CodecContext | None = stream.codec_context
    return context is not None and context.name == "aac" and not context.extradata_size


def _is_text(stream: Stream) -> bool:
    context: CodecContext | None = stream.codec_context
    # FFmpeg's AV_CODEC_PROP_TEXT_SUB; the rest are pictures.
    return context is not None and bool(context.codec.properties & 0x20000)


def _describe(copy: Stream, stream: Stream) -> None:
    """Language, title and role of a stream."""
    copy.metadata.update(
        {
            key: value
            for key, value in stream.metadata.items()
            if not any(part in key.lower() for part in _NOT_KEPT)
        }
    )
    copy.disposition = Disposition(stream.disposition)
