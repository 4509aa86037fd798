"""Sound, subtitles and the rest: copied as they are, or converted where they must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType

from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Disposition, Stream
from av.subtitles.stream import SubtitleStream

from stream.errors import SinkError
from stream.sinks._aac import DOUBLED, track_header
from stream.sinks._containers import ContainerKind
from stream.sinks._lossless import heard_as_noise, heard_by_few, lossless
from stream.sinks._muxer import Muxer
from stream.sinks._names import called, names_of, roles_of
from stream.sinks._outliving import is_open
from stream.sinks._scratch import Scratch
from stream.sinks._sound import Reencoded, channels_of
from stream.sinks._stream_facts import (
    carries_headers,
    codec_name,
    is_short,
    is_text,
    longest_packet,
)
from stream.sinks._subtitles import Retold, TimedText
from stream.sinks._tracks import Copied, Dolby, Filled, Headed, Keyed, Track, Unwrapped
from stream.sinks._trial import holds_attachment, silence, why_not
from stream.types import AnyPacket
from stream.wording.words import counted, listed

_BEGINNING = Fraction(1, 10)
"""Seconds of sound that decoders need at most before the first that is heard."""
_PEOPLE_SAY = {"audio": "sound", "subtitle": "subtitles", "data": "data", "video": "video"}
# Sound of which MP4's head says what only its packets tell; without one there is no head.
_TOLD_BY_PACKETS = {"ac3", "eac3"}
# As these, and nothing here makes a packet of them: a film of which the sound begins late, or in
# the middle of such sound, would have no head.
_TOLD_BY_NOTHING = {"truehd", "mlp"}
# Of which readers take the last packet to be as long as makes the sound end with the film.
_AS_LONG_AS_THE_FILM = {"tta"}
# Containers that hold AAC without headers alone, and are told of it before its first packet.
_NEVER_FOUND_OUT = {"nut", "avi"}
# In MPEG-TS readers go by what it looks like, and take that of less than a second for MP3.
_ENOUGH = 2
# Further video that readers find again in MPEG-TS.
_BROADCAST = {"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4"}


class Copies:
    """All streams of the output that are not the picture.

    Attributes:
        lost_names: of which stream, and which languages and titles its copy cannot have.
    """

    def __init__(
        self,
        muxer: Muxer,
        streams: Sequence[Stream],
        kind: ContainerKind,
        video: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Adds the streams.

        Args:
            muxer: the output.
            streams: the input's, but for the picture.
            kind: the container.
            video: the tags of the picture's own track.
        """
        self._timecode = video.get("timecode")
        self._remarks: list[str] = []
        self._unknown: dict[str, list[int]] = {}
        self.lost_names: list[tuple[str, dict[str, str]]] = []
        self._tracks: dict[int, Track] = {}
        self._first: dict[str, int] = {}
        self._silent: dict[int, str] = {}
        self._needed: list[tuple[Copied, AnyPacket]] = []
        # Where a container has no times, everything is told from its first picture on.
        self._origin: Fraction | None = Fraction(0) if kind.timestamps else None
        self._early: list[tuple[AnyPacket, int]] = []
        # Those whose length is counted in decoding times have lists of edits themselves.
        self._audible = not kind.by_decode_time
        for stream in streams:
            _check_open(stream)
            self._first.setdefault(stream.type, stream.index)
            if kind.alone:
                what = f"stream {stream.index}, {_PEOPLE_SAY.get(stream.type, stream.type)}, is"
                self._remarks.append(f"{what} left out: {called(kind)} holds pictures alone")
                continue
            self._add(muxer, stream, kind)
            if stream.type == "audio" and stream.index in self._tracks:
                self._silent[stream.index] = f"stream {stream.index}, sound ({codec_name(stream)})"

    @property
    def remarks(self) -> list[str]:
        """What is converted or left out and why, a sentence each."""
        # Phones have several streams of what moved while they filmed.
        unknown = [
            f"{listed(indices, 'stream')}, {what}, {'is' if len(indices) == 1 else 'are'} left "
            f"out: nothing here knows {'its' if len(indices) == 1 else 'their'} codec"
            for what, indices in self._unknown.items()
        ]
        return [*unknown, *self._remarks]

    def leaves_out(self, packet: AnyPacket) -> bool:
        """Whether a list of edits hides what would be heard here, and no decoder begins with it.

        Args:
            packet: as it was read.
        """
        if not self._audible or not packet.is_discard or packet.pts is None:
            return False
        return (packet.pts + (packet.duration or 0)) * Fraction(packet.time_base) < -_BEGINNING

    def write(self, packet: AnyPacket, index: int) -> None:
        """Hands a packet to its stream; packets of streams that were left out are dropped.

        Args:
            packet: one that nobody else holds; its times are changed.
            index: of the input's stream that it belongs to.
        """
        if self._origin is None:
            self._early.append((packet, index))
            return
        track = self._tracks.get(index)
        if track is not None:
            self._silent.pop(index, None)
            if self._origin:
                by = round(self._origin / packet.time_base)
                packet.pts = None if packet.pts is None else packet.pts - by
                packet.dts = None if packet.dts is None else packet.dts - by
            track.write(packet)

    def _begin(self, first: Fraction) -> None:
        """Says when the first picture is shown; what came before it has waited for that."""
        if self._origin is not None:
            return
        self._origin = first
        early, self._early = self._early, []
        for packet, index in early:
            self.write(packet, index)

    def advance(self, now: Fraction) -> None:
        """Says that the pictures have come to `now`, in seconds."""
        self._begin(now)
        for track in self._tracks.values():
            track.advance(now)

    def finish(self) -> None:
        """Writes what re-encoding still holds back."""
        self._begin(Fraction(0))
        for track in self._tracks.values():
            track.finish()
        for copied, silent in self._needed:
            if copied.empty:
                copied.write(silent)
        for track in self._tracks.values():
            self._remarks += track.remarks
        self._remarks += [
            f"{what}, holds nothing beside these pictures: none of it came"
            for what in self._silent.values()
        ]
        lost = sum(track.lost for track in self._tracks.values())
        if lost:
            several = counted(lost, "damaged packet", "damaged packets")
            self._remarks.append(
                f"{several} of sound or subtitles {'was' if lost == 1 else 'were'} left out"
            )

    def _add(self, muxer: Muxer, stream: Stream, kind: ContainerKind) -> None:
        if isinstance(stream, AttachmentStream):
            self._attach(muxer.container, stream, kind)
            return
        name = codec_name(stream)
        medium = f"{_PEOPLE_SAY.get(stream.type, stream.type)} ({name})"
        what = f"stream {stream.index}, {medium}, is"
        # See `codec_name`.
        known = getattr(stream, "codec_context", None) is not None
        # QuickTime's timecode track, which a muxer makes anew from what the picture's tags say.
        if stream.type == "data" and self._timecode and "timecode" in stream.metadata:
            return
        if name == "unknown" or (not known and stream.type != "data"):
            self._unknown.setdefault(medium, []).append(stream.index)
            return
        if stream.type == "video" and not _takes_video(kind, stream):
            self._remarks.append(
                f"{what} left out: {called(kind)} does not hold it beside the film"
            )
            return
        layout, order = channels_of(stream)
        # Matroska fills that in behind, once the first packet has told it, where it can go back;
        # NUT and AVI never do.
        asks = kind.format in _NEVER_FOUND_OUT
        asks = asks or (kind.format == "matroska" and not muxer.destination.seekable())
        header, carries = None, carries_headers(stream)
        if asks and carries and isinstance(stream, AudioStream):
            header = _header(stream, kind)
        found_out = kind.format in _NEVER_FOUND_OUT and header is not None
        bare = carries and (kind.by_decode_time or found_out)
        probe = _probe(stream, layout, made=not carries or (bare and not kind.by_decode_time))
        strange = stream.type == "audio" and (
            (kind.sounds is not None and name not in kind.sounds)
            or (kind.by_decode_time and name in _TOLD_BY_NOTHING)
            or (kind.format == "mpegts" and name in _TOLD_BY_NOTHING and is_short(stream, _ENOUGH))
            or (kind.format == "matroska" and name in _AS_LONG_AS_THE_FILM)
            or (kind.channels is not None and _channels(layout) > kind.channels)
            or (asks and carries and header is None)
        )
        moved = bool(order) and kind.format != "mov"  # which alone says it
        told = None if order else layout  # which stands in what is copied
        refused = (stream.type == "audio" and layout is None) or (
            strange or why_not(kind, lambda trial: _copy_of(trial, stream, told, header), probe)
        )
        if refused or moved:
            why = "" if refused else f"{called(kind)} has its channels in another order"
            self._convert(muxer, stream, kind, what, layout, why, order)
            return
        if isinstance(stream, AudioStream) and layout and heard_as_noise(kind, stream, layout):
            why = f"older readers of {called(kind)} make noise of it"
            self._convert(muxer, stream, kind, what, layout, why)
            return
        if heard_by_few(kind, name):
            few = f"older readers of {called(kind)} play as noise or not at all; .mov is safe"
            self._remarks.append(f"{what} kept as it is, which {few}")
        copy = _copy_of(muxer.container, stream, told, header)
        self._describe(kind, copy, stream)
        scratch = None
        # What is unwrapped first changes on the way.
        if stream.type != "video" and not bare:
            scratch = muxer.trying(lambda trial: _copy_of(trial, stream, told, header), kind)
        track = _copying(muxer, copy, stream, kind, probe, scratch, bare=bare)
        self._tracks[stream.index] = track
        if kind.by_decode_time and name in _TOLD_BY_PACKETS and isinstance(track, Copied):
            # Damaged sound may not even tell its rate.
            for silent in (probe or silence(name, 48_000, "stereo"))[:1]:
                silent.pts = silent.dts = 0
                self._needed.append((track, silent))

    def _convert(
        self,
        muxer: Muxer,
        stream: Stream,
        kind: ContainerKind,
        what: str,
        layout: str | None,
        why: str = "",
        order: Sequence[int] = (),
    ) -> None:
        why = why or f"{called(kind)} does not hold it as it is"
        track: Reencoded | Retold
        if (
            isinstance(stream, AudioStream)
            and layout is not None
            and stream.codec_context.is_decoder
        ):
            exact = lossless(kind, stream, layout)
            track = Reencoded(
                muxer,
                stream,
                kind.audio if exact is None else exact,
                layout,
                from_zero=not kind.timestamps,
                most=kind.channels,
                order=order,
            )
            into = f"re-encoded with {track.encoder}{exact.kept if exact is not None else ''}"
            if AudioLayout(track.layout).nb_channels < AudioLayout(layout).nb_channels:
                into += f" as {track.layout} instead of {layout}"
        elif isinstance(stream, SubtitleStream) and kind.subtitles and is_text(stream):
            track = Retold(muxer, stream, kind.subtitles)
            into = f"converted to {kind.subtitles}"
        else:
            why = f"{called(kind)} does not hold it"
            if isinstance(stream, AudioStream) and layout is None:
                why = "where the film begins, nothing says how many channels it has"
            self._remarks.append(f"{what} left out: {why}")
            return
        self._tracks[stream.index] = track
        self._remarks.append(f"{what} {into}: {why}")
        self._describe(kind, track.stream, stream)

    def _describe(self, kind: ContainerKind, copy: Stream, stream: Stream) -> None:
        """Gives a copy the language, title and role of a stream."""
        medium = "video" if stream.type == "video" else "audio"
        roles = told = roles_of(stream.disposition)
        if stream.type != "subtitle" and self._first[stream.type] == stream.index:
            told &= ~Disposition.default  # which players choose where none is said to be
        tags, lost = names_of(kind, medium, stream.metadata, told)
        copy.metadata.update(tags)
        copy.disposition = roles
        self.lost_names.append((f"stream {stream.index}'s", lost))

    def _attach(
        self, container: OutputContainer, stream: AttachmentStream, kind: ContainerKind
    ) -> None:
        name, mime, data = stream.name or "attachment", stream.mimetype or "", stream.data
        if holds_attachment(kind, mime):
            container.add_attachment(name, mime, data)
        else:
            self._remarks.append(f"the attachment {name} is left out: {called(kind)} holds none")


def _copying(
    muxer: Muxer,
    copy: Stream,
    stream: Stream,
    kind: ContainerKind,
    probe: list[AnyPacket],
    scratch: Scratch | None,
    *,
    bare: bool,
) -> Track:
    if stream.type == "video":
        return Keyed(muxer, copy)
    if stream.type == "audio" and not kind.timestamps:
        filled = Filled(muxer, copy, probe, scratch, longest_packet(stream))
        return Unwrapped(filled, stream) if bare else filled
    if kind.subtitles == "mov_text" and codec_name(stream) == "mov_text":
        return TimedText(muxer, copy)
    if bare:
        return Unwrapped(Copied(muxer, copy), stream)
    if kind.by_decode_time and codec_name(stream) in _TOLD_BY_PACKETS:
        return Dolby(muxer, copy, scratch)
    return (Headed if carries_headers(stream) else Copied)(muxer, copy, scratch)


def _channels(layout: str | None) -> int:
    return 0 if layout is None else int(AudioLayout(layout).nb_channels)


def _check_open(stream: Stream) -> None:
    """Refuses a stream of a file that is closed, of which nothing may be read any more."""
    if not is_open(stream):
        raise SinkError(
            "the input is closed already, so its sound and subtitles cannot be copied; open the "
            "output while the input is open"
        )


def _copy_of(
    container: OutputContainer, stream: Stream, layout: str | None, header: bytes | None
) -> Stream:
    """A stream of the output that takes a stream's packets.

    Args:
        container: the output.
        stream: of the input.
        layout: the channels of sound; None for other streams, and where these are told already.
        header: what is told once of packets that come without their own; None for what it says.
    """
    copy = container.add_stream_from_template(stream, opaque=True)
    if layout is not None and isinstance(copy, AudioStream):
        copy.codec_context.layout = layout
    if header is not None:
        copy.codec_context.extradata = header
    return copy


def _probe(stream: Stream, layout: str | None, *, made: bool) -> list[AnyPacket]:
    """Packets like those that a stream will have, as far as encoders have `made` such."""
    if stream.type == "video" or not made:
        return []
    if isinstance(stream, AudioStream):
        context = stream.codec_context
        return silence(context.codec.canonical_name, context.sample_rate, layout or "stereo")
    packet: AnyPacket = Packet(b"\0\x02Hi" if codec_name(stream) == "mov_text" else b"Hi")
    packet.pts = packet.dts = 0
    packet.duration, packet.time_base = 1000, Fraction(1, 1000)
    packet.is_keyframe = True
    return [packet]


def _takes_video(kind: ContainerKind, stream: Stream) -> bool:
    """Whether a container holds a further video, so that it is found again."""
    return not kind.holds_anything or (kind.timestamps and codec_name(stream) in _BROADCAST)


def _header(stream: AudioStream, kind: ContainerKind) -> bytes | None:
    """What a container is told once of AAC whose packets carry headers; None if it is not known."""
    if not kind.timestamps and str(stream.codec_context.profile) in DOUBLED:
        return None  # there is no silence for its gaps
    return track_header(stream)
