"""What a container holds, found out by writing a tiny file in memory and reading it back."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.codec.codec import Codec, UnknownCodecError
from av.codec.context import CodecContext
from av.container import OutputContainer
from av.stream import AttachmentStream, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stream.sinks._containers import ContainerKind, muxer_options
from stream.sinks._encoders import quieten
from stream.sinks._tracks import put_on_clock
from stream.types import AnyPacket

_TICK = Fraction(1, 25)
SIZE = (352, 288)
"""A size that nearly every encoder takes, those of old conference systems included."""
# Seconds of silence: enough for a reader to know a codec by.
_SILENCE = 0.4
# Codecs that readers take for one another, and decode alike.
_ALIKE = {"mp1": "mp3", "mp2": "mp3", "msmpeg4v3": "msmpeg4", "ljpeg": "mjpeg", "srt": "subrip"}
# Sound that readers know again in MPEG-TS though nothing here makes any (ISO/IEC 13818-1 and the
# registrations that go with it); AVI has no such that can be relied on.
_BROADCAST_SOUND = {
    "aac", "aac_latm", "ac3", "dts", "eac3", "mp1", "mp2", "mp3", "opus", "pcm_bluray", "s302m",
    "truehd",
}  # fmt: skip
FAILURES = (av.FFmpegError, ValueError, OSError)
"""What comes of a trial that fails."""


def why_not(
    kind: ContainerKind,
    add: Callable[[OutputContainer], Stream],
    packets: Sequence[AnyPacket] = (),
) -> str | None:
    """Tries a stream in a tiny file in memory.

    Args:
        kind: the container.
        add: adds the stream.
        packets: for that stream, as they will come; none where none can be made.

    Returns:
        None if the container holds it, or why not.
    """
    data = io.BytesIO()
    try:
        trial = av.open(data, "w", format=kind.format, container_options=options_for(kind))
        stream = add(trial)
        trial.start_encoding()
        wanted = _identity(stream)
        length, last = _seconds(packets), None
        for packet in packets:
            last = put_on_clock(packet, stream, last)
            trial.mux_one(packet)
        if not packets:
            return _why_unproven(kind, wanted)
        trial.close()
    except FAILURES as error:
        return getattr(error, "strerror", None) or str(error)
    return _why_not_found(data, wanted, length)


def _why_unproven(kind: ContainerKind, wanted: tuple[str, str | None]) -> str | None:
    """What is to be thought of a stream of which no packet can be made up."""
    if wanted[0] != "audio" or not kind.holds_anything:
        return None
    if kind.format == "mpegts" and wanted[1] in _BROADCAST_SOUND:
        return None
    return "nothing says that a reader would find it again"


def _why_not_found(
    data: io.BytesIO, wanted: tuple[str, str | None], length: Fraction
) -> str | None:
    """Looks for a stream in what was written; None if it is there and as long as it was."""
    data.seek(0)
    try:
        with av.open(data, "r") as again:
            found = next((one for one in again.streams if _identity(one) == wanted), None)
            read = [] if found is None else list(again.demux(found))
    except FAILURES as error:
        return str(error)
    if found is None:
        return "a reader would not find it again"
    # Containers that count bytes where others have times may count wrongly.
    longer = _seconds(read) / max(length, Fraction(1, 1000))
    if wanted[0] == "audio" and len(read) > 3 and not Fraction(1, 2) < longer < Fraction(3, 2):
        return "a reader would find it at other times"
    return None


def _seconds(packets: Sequence[AnyPacket]) -> Fraction:
    """From the first packet's time to the last one's end."""
    timed = [one for one in packets if one.pts is not None]
    if not timed:
        return Fraction(0)
    last = timed[-1]
    end = (last.pts or 0) + (last.duration or 0)
    return end * last.time_base - (timed[0].pts or 0) * timed[0].time_base


def options_for(kind: ContainerKind) -> dict[str, str]:
    """What the muxer of a trial film is asked."""
    return muxer_options(kind, _TICK, [], ())


def _identity(stream: Stream) -> tuple[str, str | None]:
    context: CodecContext | None = stream.codec_context
    if context is None:
        return stream.type, getattr(stream, "name", None)
    name = context.codec.canonical_name
    return stream.type, _ALIKE.get(name, name)


def holds_video(kind: ContainerKind, encoder: str, options: Mapping[str, str]) -> bool:
    """Whether a container holds what a video encoder gives, so that it can be seen again.

    Args:
        kind: the container.
        encoder: FFmpeg's name of it.
        options: what it is opened with.
    """
    return _holds_video(kind, encoder, tuple(sorted(options.items())))


@functools.cache
def _holds_video(kind: ContainerKind, encoder: str, options: tuple[tuple[str, str], ...]) -> bool:
    if kind.alone:
        return encoder == kind.video  # of any other FFmpeg says so only once it comes
    data = io.BytesIO()
    trial = av.open(data, "w", format=kind.format, container_options=options_for(kind))
    try:
        stream = trial.add_stream(encoder, rate=25, options=dict(options))
    except FAILURES:
        return False
    if not kind.holds_anything:
        return not kind.by_decode_time or _begins_with(kind, encoder)
    assert isinstance(stream, VideoStream)
    quieten()
    try:
        stream.width, stream.height = SIZE
        formats = Codec(encoder, "w").video_formats
        stream.pix_fmt = formats[0].name if formats else "yuv420p"
        packets = pictures(stream)
    except FAILURES:
        return True  # it takes no pictures as simple as these, or needs hardware that is absent
    try:
        for packet in packets:
            trial.mux_one(packet)
        trial.close()
    except FAILURES:
        return False
    return _why_not_found(data, _identity(stream), Fraction(0)) is None


def _begins_with(kind: ContainerKind, encoder: str) -> bool:
    """Whether a file's head can be written for an encoder's pictures: MP4 has what MOV refuses.

    It asks for nothing that only the encoder knows, which would take long to open.
    """
    name = Codec(encoder, "w").canonical_name
    quieten()
    try:
        with av.open(
            io.BytesIO(), "w", format=kind.format, container_options=options_for(kind)
        ) as trial:
            trial.add_mux_stream(name, rate=25, width=SIZE[0], height=SIZE[1])
            trial.start_encoding()
    except FAILURES:
        return False
    return True


def tiny_film(
    kind: ContainerKind,
    medium: str,
    *,
    film: Mapping[str, str] | None = None,
    track: Mapping[str, str] | None = None,
    begun: Callable[[OutputContainer], None] | None = None,
) -> io.BytesIO | None:
    """A moment of film with words in it, to be read back.

    Args:
        kind: the container, one that holds MPEG-4 (Flash's H.263 in its own) and sound.
        medium: "video" or "audio": the only stream's.
        film: tags of the whole.
        track: tags of the stream.
        begun: is called before the header is written.

    Returns:
        From its beginning; None where it cannot be made, which then proves nothing.
    """
    data = io.BytesIO()
    options = muxer_options(kind, _TICK, [], film or ())
    try:
        trial = av.open(data, "w", format=kind.format, container_options=options)
        trial.metadata.update(film or {})
        packets: list[AnyPacket]
        if medium == "video":
            # The quickest to start.
            stream = trial.add_stream("flv" if kind.format == "flv" else "mpeg4", rate=25)
            stream.width, stream.height = SIZE
            stream.pix_fmt = "yuv420p"
            packets = pictures(stream)
        else:
            packets = silence(kind.audio, 48_000, "stereo")
            trial.add_stream(kind.audio, rate=48_000, layout="stereo")
        trial.streams[0].metadata.update(track or {})
        if begun is not None:
            begun(trial)
        for packet in packets:
            packet.stream = trial.streams[0]
            trial.mux_one(packet)
        trial.close()
    except FAILURES:
        return None
    data.seek(0)
    return data


@functools.cache
def holds_attachment(kind: ContainerKind, mimetype: str) -> bool:
    """Whether a reader finds a file again that is put into a film: a font, a document.

    Args:
        kind: the container.
        mimetype: of the file.
    """

    def attach(made: OutputContainer) -> None:
        made.add_attachment("file", mimetype, b"something")

    again = tiny_film(kind, "video", begun=attach) or tiny_film(kind, "audio", begun=attach)
    if again is None:
        return False
    with av.open(again, "r") as read:
        return any(isinstance(one, AttachmentStream) for one in read.streams)


def pictures(stream: VideoStream) -> list[AnyPacket]:
    """A few pictures as an encoder gives them."""
    packets: list[AnyPacket] = []
    for at in range(4):
        picture = VideoFrame(*SIZE, stream.pix_fmt or "yuv420p")
        for plane in picture.planes:
            plane.update(bytes(plane.buffer_size))
        told = stream.codec_context
        picture.color_range, picture.colorspace = told.color_range, told.colorspace
        picture.color_primaries, picture.color_trc = told.color_primaries, told.color_trc
        picture.pts, picture.time_base = at, _TICK
        packets += stream.encode(picture)
    packets += stream.encode(None)
    return packets


def silence(codec: str, rate: int, layout: str) -> list[AnyPacket]:
    """Packets of silence in a codec; none where nothing here encodes it.

    Args:
        codec: its canonical name.
        rate: samples per second; 0 where nothing says so, of which there are none.
        layout: the channels.
    """
    if not rate:
        return []
    tried = dict.fromkeys((layout, "stereo", "mono"))
    made = (_silence(codec, rate, one) for one in tried)
    return next((packets for packets in made if packets), [])


def _silence(name: str, rate: int, layout: str) -> list[AnyPacket]:
    try:
        encoder = Codec(name, "w")
        context = CodecContext.create(encoder.name, "w")
        assert isinstance(context, AudioCodecContext)
        context.format = encoder.audio_formats[0]  # type: ignore[index]
        context.layout, context.sample_rate = layout, rate
        context.time_base = Fraction(1, rate)
        context.options = {"strict": "experimental"}
        context.open()
        packets: list[AnyPacket] = []
        size, channels = context.frame_size or 1024, context.layout.nb_channels
        nothing = np.zeros((1, size * channels), np.int16)
        for at in range(0, int(_SILENCE * rate), size):
            frame = AudioFrame.from_ndarray(nothing, "s16", layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
            packets += context.encode(frame)
        return packets + list(context.encode(None))
    except (*FAILURES, UnknownCodecError, TypeError):
        return []


def takes_sound(encoder: str, stored: str, layout: str, rate: int) -> bool:
    """Whether an encoder can be opened for some sound.

    Args:
        encoder: FFmpeg's name of it.
        stored: FFmpeg's name of how samples are stored.
        layout: the channels.
        rate: samples per second.
    """
    context = CodecContext.create(encoder, "w")
    assert isinstance(context, AudioCodecContext)
    context.format, context.layout, context.sample_rate = stored, layout, rate
    try:
        context.open()
    except (av.FFmpegError, ValueError):
        return False
    return True
