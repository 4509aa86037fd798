"""One connection to a receiver: an encoder and a container whose bytes go to a sending process."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from stream.errors import SinkError, UsageError
from stream.frame import VideoInfo, tells_place
from stream.settings.options import OutputOptions
from stream.sinks._containers import MP4_LONGEST, ContainerKind
from stream.sinks._encoders import EncoderChoice, choose_encoder
from stream.sinks._pipe import Pipe
from stream.sinks._plan import KEYFRAME_EVERY
from stream.sinks.video import VideoSink
from stream.system.srt import MISSING, hide_passphrase, told_of_target, tool_command
from stream.wording.addresses import dialled, redact
from stream.wording.words import counted

PATIENCE = 8.0
"""Seconds after which a receiver that takes nothing, or does not answer, counts as gone."""

_BROADCAST_SOUND = frozenset({"aac", "mp3", "mp2", "ac3"})
_H264 = frozenset({"libx264", "h264_nvenc", "h264_qsv", "h264_videotoolbox"})
_TAKEN = "yuv420p"
_CODECS = _H264 | {"libx265", "hevc_nvenc"}
# What waits for sound that is late is late itself (microseconds).
_SOON = {"max_interleave_delta": "200000"}


# What comes of each way's streams at last, by FFmpeg's name of the muxer: which words are kept.
_ENDS = {
    "hls": ContainerKind("mp4", said="HLS", roles=False),
    "flv": ContainerKind("flv", said="RTMP"),
    # A session has a name, and nothing else has.
    "rtsp": ContainerKind("rtsp", said="RTSP", tags=frozenset({"title"})),
    "mpegts": ContainerKind("mpegts", said="MPEG-TS"),
    "whip": ContainerKind("whip", said="WebRTC", tags=frozenset()),
}


@dataclass(frozen=True, slots=True)
class Way:
    """How streams are sent to the addresses of one scheme.

    Attributes:
        muxer: FFmpeg's name of what the sending process writes.
        sounds: the codecs of sound that receivers take.
        options: of that muxer.
        port: where the scheme's addresses name none; None where nobody can be asked beforehand.
        audio: the encoder for sound of other codecs.
        sender: the script beside this one that sends.
        codecs: the encoders whose pictures receivers take.
        profile: of libx264, where not every receiver takes all of them.
        keyframe_every: seconds between two pictures that need no other.
    """

    muxer: str
    sounds: frozenset[str]
    options: dict[str, str]
    port: int | None = None
    audio: str = "aac"
    sender: str = "_sender.py"
    codecs: frozenset[str] = _CODECS
    profile: str | None = None
    keyframe_every: Fraction = KEYFRAME_EVERY


WAYS = {
    "rtmp": Way("flv", frozenset({"aac"}), {"flvflags": "no_duration_filesize"}, 1935),
    "rtmps": Way("flv", frozenset({"aac"}), {"flvflags": "no_duration_filesize"}, 443),
    "rtsp": Way("rtsp", frozenset({"aac", "opus"}), {"rtsp_transport": "tcp"}, 554),
    "rtsps": Way("rtsp", frozenset({"aac", "opus"}), {"rtsp_transport": "tcp"}, 322),
    "udp": Way("mpegts", _BROADCAST_SOUND, {}),
    # No port to knock at: who waits for one connection only would take the knock for it.
    "tcp": Way("mpegts", _BROADCAST_SOUND, {}),
    "srt": Way("mpegts", _BROADCAST_SOUND, {}),
    "whip": Way(
        "whip", frozenset({"opus"}), {}, 80, "libopus", "_whip_sender.py", _H264, "baseline"
    ),
}
WAYS["whips"] = replace(WAYS["whip"], port=443)

"""By an address's scheme."""


def scheme_of(address: str) -> str:
    """An address's scheme in small letters; "" where it is none."""
    scheme, mark, _ = address.partition("://")
    return scheme.lower() if mark else ""


def choose_for_sending(
    options: OutputOptions, way: Way | None = None, *, now: bool = True
) -> EncoderChoice:
    """The encoder.

    Args:
        options: codec, crf and preset.
        way: how it is sent; None for any way that takes most.
        now: whether what is shown now is sent now; else it may look ahead.

    Raises:
        UsageError: receivers do not take what it encodes, or a setting is not possible.
    """
    if options.pixel_format not in (None, _TAKEN):
        raise UsageError(f"receivers take {_TAKEN}: leave --pixel-format away")
    choice = choose_encoder(options.codec or "libx264", options.crf, options.preset)
    codecs = _CODECS if way is None else way.codecs
    if choice.name not in codecs:
        known = ", ".join(sorted(codecs))
        raise UsageError(f"receivers do not take what {choice.name} encodes; choose one of {known}")
    if choice.name in ("libx264", "libx265"):
        # No frame that waits for a later one: the order of sending is that of showing.
        settings = {"tune": "zerolatency"} if now else {"bf": "0"}
        if way is not None and way.profile is not None and choice.name == "libx264":
            settings["profile"] = way.profile
        choice = replace(choice, options={**choice.options, **settings})
    return choice


def for_receivers(info: VideoInfo, where: str) -> tuple[VideoInfo, list[str]]:
    """What goes to receivers of a source: its pictures and first sound, and words about them.

    Args:
        info: what the source says of itself.
        where: the rest is not.

    Returns:
        What is to be sent; and what of the source is not, a sentence each.
    """
    sound = tuple(one for one in info.copied if one.type == "audio")[:1]
    film, track = (
        {name: words for name, words in tags.items() if not tells_place(name)}
        for tags in (info.metadata, info.track)
    )
    said = [
        f"{counted(left, what)} {'is' if left == 1 else 'are'} not {where}"
        for what, left in (
            ("further stream", len(info.copied) - len(sound)),
            ("chapter", len(info.chapters)),
            ("cover picture", len(info.covers)),
        )
        if left
    ]
    if (film, track) != (info.metadata, info.track):
        said.append(f"where the film was taken is not {where}, as strangers may receive it")
    return replace(info, copied=sound, chapters=(), covers=(), metadata=film, track=track), said


class Transmission(VideoSink):
    """Encodes frames and sends them, with the sound, to one receiver until that goes away."""

    def __init__(
        self,
        address: str,
        info: VideoInfo,
        options: OutputOptions,
        *,
        way: Way | None = None,
        now: bool = True,
    ) -> None:
        """Starts to connect; `pipe.connected` says when the receiver is there.

        Args:
            address: the receiver's, its secrets included.
            info: of the frames; of its copied streams only sound is sent.
            options: codec, crf and preset.
            way: how it is sent; None for the way of the address's scheme.
            now: whether what is shown now is sent now; else the encoder may look ahead.

        Raises:
            UsageError: the encoder is not possible.
            SinkError: no process can be started, or the encoder does not open.
        """
        self._address = address
        self._way = way or WAYS[scheme_of(address)]
        self._now = now
        self._first_keyframe = self._keyframe_every = self._way.keyframe_every
        self._asked = options
        if self._way.profile is not None:
            # Profiles that all receivers know have no odd sizes: a row or a column goes.
            info = replace(info, width=max(2, info.width & ~1), height=max(2, info.height & ~1))
        self._even = info.width % 2 == 0 and info.height % 2 == 0
        super().__init__(redact(address), info)

    def _choose(
        self, info: VideoInfo, codec: str | None, crf: float | None, preset: str | None
    ) -> tuple[ContainerKind, EncoderChoice]:
        choice = choose_for_sending(self._asked, self._way, now=self._now)
        # What every receiver shows; it takes even sizes only.
        formats = (_TAKEN,) if self._even else (_TAKEN, "yuv444p")
        # The tool for SRT sends on what it is given, our own process makes its container itself.
        container = "mpegts" if scheme_of(self._address) == "srt" else "nut"
        end = _ENDS[self._way.muxer]
        kind = ContainerKind(
            container,
            audio=self._way.audio,
            options=_SOON,
            holds_anything=True,
            sounds=self._way.sounds,
            # Opus of more channels is in pieces that WebRTC knows nothing of.
            channels=2 if self._way.audio == "libopus" else None,
            longest=MP4_LONGEST if self._way.muxer == "hls" else None,
            said=end.said,
            becomes=end,
        )
        return kind, replace(choice, formats=formats)

    def _open_destination(self, *, overwrite: bool) -> Pipe:
        name = redact(self._address)
        try:
            if scheme_of(self._address) == "srt":
                self.pipe = _srt(self._address, name)
            else:
                self.pipe = _sender(self._address, name, self._way)
        except OSError as error:
            raise SinkError(
                f"{name} cannot be sent to: no process can be started ({error.strerror})"
            ) from error
        return self.pipe

    def begin_anew(self) -> None:
        """Lets the next frame be one that a receiver can begin with."""
        self._key_frames.begin_anew()


def _sender(address: str, name: str, way: Way) -> Pipe:
    asked = {"address": _for_ffmpeg(address), "format": way.muxer, "options": way.options}
    return Pipe(
        [sys.executable, str(Path(__file__).with_name(way.sender))],
        name,
        environment={"STREAM_SENDER": json.dumps(asked)},
        patience=PATIENCE,
    )


def _for_ffmpeg(address: str) -> str:
    address = dialled(address)
    if scheme_of(address) == "udp" and "pkt_size=" not in address:
        # Seven packets of MPEG-TS: what fits into an Ethernet frame.
        address += ("&" if "?" in address else "?") + "pkt_size=1316"
    return address


def _srt(address: str, name: str) -> Pipe:
    command = tool_command()
    if command is None:
        raise SinkError(f"{name} cannot be sent to: {MISSING}")
    command += ["-autoreconnect:no", "file://con", address]
    pipe = Pipe(command, name, patience=PATIENCE, told=told_of_target)
    hide_passphrase(pipe.process)
    return pipe
