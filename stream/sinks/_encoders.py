"""Video encoders: which there are, and what their quality and speed are called."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field
from fractions import Fraction

import av
import av.logging
from av.codec.codec import Codec, UnknownCodecError
from av.codec.context import CodecContext

from stream.errors import UsageError
from stream.settings.groups import unknown

_X26X_PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
)


@dataclass(frozen=True, slots=True)
class Encoder:
    """How one encoder is asked for quality and speed.

    Attributes:
        quality: the option that `--crf` sets, None where the encoder has no such setting.
        default: the quality used when none is asked for; None where it depends on the pictures.
        worst: the highest value of the quality, 0 (or 1) being the best.
        speed: the option that `--preset` sets, None where there is none.
        presets: what `--preset` may be.
        preset: the speed used when none is asked for.
        even: whether width and height must be multiples of the chroma subsampling.
        largest_clock: the highest denominator of a time base, None where any will do.
        rates: the only pictures a second that it knows, None where any will do.
        always: options that are always set.
        unasked: options that are set where no speed is asked for.
        formats: the pixel formats it is given, where FFmpeg says of none.
    """

    quality: str | None = None
    default: int | None = 0
    worst: int = 0
    speed: str | None = None
    presets: tuple[str, ...] = ()
    preset: str | None = None
    even: bool = False
    largest_clock: int | None = None
    rates: tuple[Fraction, ...] | None = None
    always: dict[str, str] = field(default_factory=dict)
    unasked: dict[str, str] = field(default_factory=dict)
    formats: tuple[str, ...] | None = None


def _numbers(first: int, last: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(first, last + 1))


# The codes of ISO 11172-2 and 13818-2, in 1001ths of a picture a second.
_MPEG_CODES = (24000, 24024, 25025, 30000, 30030, 50050, 60000, 60060)
_MPEG_RATES = tuple(Fraction(one, 1001) for one in _MPEG_CODES)
_NVENC = Encoder(
    "cq",
    23,
    51,
    "preset",
    tuple(f"p{n}" for n in range(1, 8)),
    "p4",
    True,
    always={"rc": "vbr", "forced-idr": "1"},
)
# CRF defaults are visually clean; presets leave the processor to inference.
_ENCODERS = {
    "libx264": Encoder(
        "crf", 20, 51, "preset", _X26X_PRESETS, "veryfast", True, always={"forced-idr": "1"},
        # Motion to a quarter of a pixel is refined more coarsely than `veryfast` does: of its
        # processor time that is worth 18 to 26%, for files 3 to 7% larger with 0.2 to 0.4 dB less.
        # Whole blocks move, and are looked for step by step: another 16 to 27%, for files 0 to 7%
        # larger, seldom 12, as good to 0.1 dB.
        # `superfast` saves as much or 15% more, and files are 40 to 80% larger.
        unasked={"subq": "1", "motion-est": "dia", "partitions": "i4x4,i8x8"},
    ),
    "libx265": Encoder(
        "crf", 22, 51, "preset", _X26X_PRESETS, "veryfast", True,
        # x265 writes to standard error by itself.
        always={"x265-params": "log-level=none", "forced-idr": "1"},
    ),
    "libvpx-vp9": Encoder(
        "crf", 31, 63, "cpu-used", _numbers(0, 8), "7",
        always={"row-mt": "1", "deadline": "realtime"},
    ),
    "libvpx": Encoder(
        "crf", 10, 63, "cpu-used", _numbers(0, 16), "8", always={"deadline": "realtime"}
    ),
    "libsvtav1": Encoder("crf", 30, 63, "preset", _numbers(0, 13), "9"),
    "h264_nvenc": _NVENC,
    "hevc_nvenc": _NVENC,
    "av1_nvenc": _NVENC,
    "mpeg4": Encoder("qscale", 3, 31, largest_clock=65535),
    "mpeg1video": Encoder("qscale", 3, 31, rates=_MPEG_RATES),
    "mpeg2video": Encoder("qscale", 3, 31, rates=_MPEG_RATES),
    "mjpeg": Encoder("qscale", 3, 31, always={"strict": "unofficial"}),
    "ffv1": Encoder(always={"level": "3", "slicecrc": "1"}),
    # No encoding at all, for YUV4MPEG2; deeper samples are an extension that few programs read.
    "wrapped_avframe": Encoder(formats=("yuv420p", "yuv422p", "yuv444p", "gray")),
    # Apple's programs want to be told that it is as good as theirs.
    "prores_ks": Encoder("qscale", None, 64, always={"vendor": "apl0"}),
    # Its older kinds take few sizes, each at few rates.
    "dnxhd": Encoder(always={"profile": "dnxhr_hq"}),
}  # fmt: skip
# By which encoders are told to store the captions that pictures carry (ATSC A/53).
_CAPTIONS = "a53cc"
# In containers other than MP4 and Matroska, PyAV cannot say it for the others.
_SAY_SHAPE = frozenset(
    {"libx264", "libx265", "h264_nvenc", "hevc_nvenc", "mpeg4", "mpeg2video", "mjpeg"}
)
_ALIASES = {
    "h264": "libx264",
    "x264": "libx264",
    "avc": "libx264",
    "h265": "libx265",
    "x265": "libx265",
    "hevc": "libx265",
    "vp9": "libvpx-vp9",
    "vp8": "libvpx",
    "av1": "libsvtav1",
    "prores": "prores_ks",
}


@dataclass(frozen=True, slots=True)
class EncoderChoice:
    """An encoder with everything that is asked of it.

    Attributes:
        name: FFmpeg's name of the encoder.
        formats: the pixel formats it takes, None where it takes any.
        options: what to open it with.
        qscale: a fixed quantiser, for encoders that are asked for quality that way.
        keeps_captions: whether closed captions that pictures carry go into what it gives.
        rules: how this encoder is handled.
        asked: whether its one pixel format was asked for.
    """

    name: str
    formats: tuple[str, ...] | None
    options: dict[str, str]
    qscale: int | None
    keeps_captions: bool
    rules: Encoder
    asked: bool = False


def quieten() -> None:
    """Keeps SVT-AV1, which goes by this variable only, from writing to standard error."""
    os.environ.setdefault("SVT_LOG", "1")


def choose_encoder(name: str, crf: float | None, preset: str | None) -> EncoderChoice:
    """Looks an encoder up and sets its quality and speed.

    Args:
        name: FFmpeg's name of the encoder, or the codec's usual name.
        crf: quality on the encoder's own scale, lower is better; None for a good default.
        preset: speed in the encoder's own words; None for a fast default.

    Raises:
        UsageError: no such encoder here, or it does not know this quality or speed.
    """
    name = _ALIASES.get(name.lower(), name)
    try:
        codec = Codec(name, "w")
    except UnknownCodecError as error:
        raise unknown("encoder", name, encoder_names()) from error
    if codec.type != "video":
        raise UsageError(f"{name!r} does not encode video but {codec.type}")
    rules = _ENCODERS.get(name, Encoder())
    options, qscale = _quality(name, rules, crf)
    options = {**rules.always, **options}
    if preset is not None and preset not in rules.presets:
        if not rules.presets:
            raise UsageError(f"the encoder {name} has no presets; leave --preset away")
        known = f"goes by the presets {', '.join(rules.presets)}"
        raise UsageError(f"the encoder {name} {known}, not {preset!r}")
    if rules.speed is not None and (preset or rules.preset):
        options[rules.speed] = str(preset or rules.preset)
    if preset is None:
        options |= rules.unasked
    captions = _knows(name, _CAPTIONS)
    if captions:
        options[_CAPTIONS] = "1"
    offered = codec.video_formats
    formats = tuple(one.name for one in offered) if offered else rules.formats
    return EncoderChoice(name, formats, options, qscale, captions, rules)


def _quality(name: str, rules: Encoder, crf: float | None) -> tuple[dict[str, str], int | None]:
    """The options and the quantiser by which an encoder is asked for quality.

    Raises:
        UsageError: it knows of none, or not of this one.
    """
    if crf is not None and rules.quality is None:
        raise UsageError(f"the encoder {name} has no quality setting; leave --crf away")
    quality = rules.default if crf is None else crf
    if rules.quality is None or quality is None:
        return {}, None
    if not 0 <= quality <= rules.worst:
        raise UsageError(f"--crf of {name} goes from 0 to {rules.worst}, not {quality:g}")
    if rules.quality == "qscale":
        return {}, max(1, round(quality))
    # A ratio is read alike in each locale: in a German one, which windows of GTK and Qt set in
    # their process, FFmpeg takes a comma for the decimal point.
    return {rules.quality: str(Fraction(f"{quality:g}"))}, None


@functools.cache
def _knows(name: str, option: str) -> bool:
    """Whether an encoder has an option of its own of this name."""
    try:
        options = CodecContext.create(name, "w").supported_options.private
    except (av.FFmpegError, ValueError):
        return False  # of hardware that is absent
    return any(one.name == option for one in options)


def format_options(encoder: str, pixel_format: str) -> dict[str, str]:
    """What an encoder is told besides where pixels are not those that it mostly gets.

    Args:
        encoder: FFmpeg's name of it.
        pixel_format: of the pictures it is given.
    """
    if encoder != "dnxhd" or pixel_format == "yuv422p":
        return {}
    return {"profile": "dnxhr_hqx" if pixel_format == "yuv422p10le" else "dnxhr_444"}


def says_shape(encoder: str) -> bool:
    """Whether what an encoder gives says by itself how wide a sample is."""
    return encoder in _SAY_SHAPE


def encoder_names() -> list[str]:
    """The video encoders that are known here and can be asked for by `--codec`."""
    return [name for name in _ENCODERS if name in av.codecs_available]
