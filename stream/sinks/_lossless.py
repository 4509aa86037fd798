"""Sound whose every sample stays as it is, though its codec does not."""

from __future__ import annotations

from dataclasses import dataclass

from av.audio.stream import AudioStream
from av.codec.codec import Codec
from av.container import OutputContainer
from av.stream import Stream

from stream.sinks._containers import ContainerKind
from stream.sinks._trial import silence, takes_sound, why_not

# Codecs that give back what they were given, and of these those of 24 bits at most: FFmpeg hands
# out samples of 32 bits for all that is above 16.
_UP_TO_24 = {
    "ape", "mlp", "pcm_bluray", "pcm_dvd", "ralf", "s302m", "shorten", "tak", "truehd", "tta",
    "wmalossless",
}  # fmt: skip
_LOSSLESS = _UP_TO_24 | {"alac", "flac", "mp4als", "wavpack"}
# Cameras' and telephones', which have 16 bits once decoded and hardly take less room then.
_SIMPLE = ("pcm_mulaw", "pcm_alaw", "adpcm_")
_PCM = {"s16": "pcm_s16le", "s24": "pcm_s24le", "s32": "pcm_s32le", "flt": "pcm_f32le",
        "dbl": "pcm_f64le"}  # fmt: skip
# What encoders are given for samples of so many bits.
_STORED = {
    "alac": {"s16": "s16p", "s24": "s32p"},
    "flac": {"s16": "s16", "s24": "s32"},
    "pcm_bluray": {"s16": "s16", "s24": "s32"},
}


@dataclass(frozen=True, slots=True)
class Lossless:
    """How sound is encoded so that its samples stay as they are.

    Attributes:
        encoder: FFmpeg's name of it.
        stored: the format of samples that the encoder is given.
        worked: the packed format that has all of the source's samples.
        kept: what is to be said of it, behind its name.
    """

    encoder: str
    stored: str
    worked: str
    kept: str = ", every sample kept"


def lossless(kind: ContainerKind, stream: AudioStream, layout: str) -> Lossless | None:
    """The way for a stream's samples to stay as they are in a container that has not its codec.

    Args:
        kind: the container.
        stream: of the input.
        layout: its channels, as `declared` names them.

    Returns:
        None where its codec has lost something already, or the container has no such way.
    """
    name, depth = stream.codec_context.codec.canonical_name, _depth(stream)
    if name.startswith(_SIMPLE):
        encoders = ["pcm"] if kind.samples else []
    elif depth is None or not (name in _LOSSLESS or name.startswith("pcm_") or _is_master(stream)):
        encoders = []
    else:
        encoders = list(kind.lossless)
    rate = stream.codec_context.sample_rate
    if depth is None or not rate:
        return None
    worked = depth if depth in ("flt", "dbl") else "s32"
    for encoder in encoders:
        exact = _PCM.get(depth) if encoder == "pcm" else encoder
        stored = worked if encoder == "pcm" else _STORED[encoder].get(depth)
        if exact is None or stored is None:
            continue
        if encoder == "pcm" and depth == "s16":
            stored = "s16"
        if _holds(kind, exact, stored, layout, rate):
            return Lossless(exact, stored, worked)
    # What says 32 bits mostly has 24 of them, and would lose far more otherwise.
    if depth == "s32" and "alac" in encoders and _holds(kind, "alac", "s32p", layout, rate):
        return Lossless("alac", "s32p", worked, " in 24 bits")
    return None


def heard_as_noise(kind: ContainerKind, stream: AudioStream, layout: str) -> bool:
    """Whether older readers make noise of a stream's samples, which another codec would keep.

    MP4 says how many bits they have in a box of ISO/IEC 23003-5. Who does not know that, as FFmpeg
    before 6.1, takes them for 16 bits.
    """
    if kind.format != "mp4" or not stream.codec_context.codec.canonical_name.startswith("pcm_"):
        return False
    return _depth(stream) in ("s24", "s32") and lossless(kind, stream, layout) is not None


def heard_by_few(kind: ContainerKind, name: str) -> bool:
    """Whether older readers of a container know nothing of how it holds sound of a codec."""
    return kind.format == "mp4" and name.startswith(("pcm_f32", "pcm_f64", "pcm_s24", "pcm_s32"))


def _depth(stream: AudioStream) -> str | None:
    """The smallest kind of number that has all of a stream's samples; None if nobody knows."""
    context = stream.codec_context
    form = context.format.packed.name if context.format is not None else ""
    if form in ("u8", "s16"):
        return "s16"
    if form != "s32":
        return form if form in ("flt", "dbl") else None
    name, head = context.codec.canonical_name, context.extradata or b""
    bits = 32
    if name in _UP_TO_24 or "24" in name or _is_master(stream):
        bits = 24
    elif name == "flac" and len(head) >= 34:
        bits = 1 + ((head[-22] & 1) << 4 | head[-21] >> 4)  # of STREAMINFO, RFC 9639, 8.2
    elif name == "alac" and len(head) >= 36:
        bits = head[17]
    return "s24" if bits <= 24 else "s32"


def _is_master(stream: AudioStream) -> bool:
    """Whether DTS holds all that was recorded."""
    return str(stream.codec_context.profile) in ("DTS-HD MA", "DTS-HD MA + DTS:X")


def _holds(kind: ContainerKind, encoder: str, stored: str, layout: str, rate: int) -> bool:
    """Whether an encoder takes such sound, and the container what it gives."""
    if not takes_sound(encoder, stored, layout, rate):
        return False

    def add(trial: OutputContainer) -> Stream:
        return trial.add_stream(encoder, rate=rate, layout=layout)

    return why_not(kind, add, silence(Codec(encoder, "w").canonical_name, rate, layout)) is None
