"""Sound, subtitles and the rest: copied as they are, or converted where they must be."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
from av.codec.context import CodecContext
from av.container import OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Disposition, Stream

from stream.errors import SinkError
from stream.sinks._containers import ContainerKind, refusal
from stream.sinks._decoding import own_decoder
from stream.sinks._muxer import Muxer
from stream.sinks._subtitles import Retold, TimedText
from stream.sinks._tracks import Copied, Track, Unwrapped

_log = logging.getLogger(__name__)

_PEOPLE_SAY = {"audio": "sound", "subtitle": "subtitles", "data": "data"}
# Set by the muxer itself, or untrue of the new file.
_NOT_KEPT = {"encoder", "duration", "vendor_id", "handler_name", "number_of_bytes", "_statistics"}


class _Reencoded(Track):
    """Sound in a codec that the container cannot hold."""

    def __init__(self, muxer: Muxer, template: Any, encoder: str) -> None:
        self._muxer = muxer
        self._decoder: Any = own_decoder(template)
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


class Copies:
    """All streams of the output that are not the picture.

    Attributes:
        remarks: what is converted or left out and why, a sentence each.
    """

    def __init__(self, muxer: Muxer, streams: Sequence[Stream], kind: ContainerKind) -> None:
        self.remarks: list[str] = []
        self._tracks: dict[int, Track] = {}
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

    def advance(self, now: Fraction) -> None:
        """Says that the pictures have come to `now`, in seconds."""
        for track in self._tracks.values():
            track.advance(now)

    def finish(self) -> None:
        """Writes what re-encoding still holds back."""
        for track in self._tracks.values():
            track.finish()
        lost = sum(track.lost for track in self._tracks.values())
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
            self._tracks[stream.index] = _copying(muxer, copy, stream, kind)
            return
        track: _Reencoded | Retold | None = None
        if stream.type == "audio" and name != "unknown":
            track = _Reencoded(muxer, stream, kind.audio)
            into = f"re-encoded with {kind.audio}"
        elif stream.type == "subtitle" and kind.subtitles and _is_text(stream):
            track = Retold(muxer, stream, kind.subtitles)
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


def _copying(muxer: Muxer, copy: Stream, stream: Stream, kind: ContainerKind) -> Track:
    if kind.subtitles == "mov_text" and _codec_name(stream) == "mov_text":
        return TimedText(muxer, copy)
    if kind.by_decode_time and _carries_headers(stream):
        return Unwrapped(muxer, copy, stream)
    return Copied(muxer, copy)


def _check_open(stream: Stream) -> None:
    """Refuses a stream of a file that is closed, of which nothing may be read any more."""
    try:
        _ = stream.container.flags
    except AssertionError as error:
        raise SinkError(
            "the input is closed already, so its sound and subtitles cannot be copied; open the "
            "output while the input is open"
        ) from error


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
