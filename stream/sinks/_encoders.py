"""Video encoders: what their quality and speed are called, and which pixel formats they take."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import av
import av.logging
from av.codec.codec import Codec, UnknownCodecError
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.format import VideoFormat

from stream.errors import UsageError
from stream.groups import unknown
from stream.sinks._alpha import holds

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
        default: the quality used when none is asked for.
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
    default: int = 0
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
        # `superfast` saves as much or 15% more, and files are 40 to 80% larger.
        unasked={"subq": "1"},
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
    "prores_ks": Encoder(always={"vendor": "apl0"}),
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
    """

    name: str
    formats: tuple[str, ...] | None
    options: dict[str, str]
    qscale: int | None
    keeps_captions: bool
    rules: Encoder


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
    options = dict(rules.always)
    qscale = None
    if crf is not None and rules.quality is None:
        raise UsageError(f"the encoder {name} has no quality setting; leave --crf away")
    if rules.quality is not None:
        quality = rules.default if crf is None else crf
        if not 0 <= quality <= rules.worst:
            raise UsageError(f"--crf of {name} goes from 0 to {rules.worst}, not {quality:g}")
        if rules.quality == "qscale":
            qscale = max(1, round(quality))
        else:
            options[rules.quality] = f"{quality:g}"
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


@functools.cache
def _knows(name: str, option: str) -> bool:
    """Whether an encoder has an option of its own of this name."""
    try:
        options = CodecContext.create(name, "w").supported_options.private
    except (av.FFmpegError, ValueError):
        return False  # of hardware that is absent
    return any(one.name == option for one in options)


def _traits(name: str) -> tuple[int, float, float, bool]:
    """Bits per sample, chroma samples per luma sample across and down, whether there is colour."""
    picture = VideoFormat(name, 16, 16)
    colour = len([c for c in picture.components if not c.is_alpha]) >= 3
    across, down = (picture.chroma_width(16) / 16, picture.chroma_height(16) / 16)
    depth = max(component.bits for component in picture.components)
    return depth, across if colour else 0.0, down if colour else 0.0, colour


def choose_format(
    wanted: str, choice: EncoderChoice, *, odd: tuple[bool, bool], alpha: bool = False
) -> str:
    """The pixel format that an encoder takes and that keeps the most of the wanted one.

    Args:
        wanted: FFmpeg's name of the pictures' format.
        choice: the encoder.
        odd: whether width and height are odd; some encoders then need full chroma.
        alpha: whether it is to hold transparency; else it must not.

    Raises:
        UsageError: the encoder takes no format that pictures can be converted to.
    """
    if choice.formats is None:
        return wanted
    if alpha and "yuva420p" in choice.formats and choice.name.startswith("libvpx"):
        return "yuva420p"  # the one that browsers know
    depth, across, down, colour = _traits(wanted)

    def usable(name: str) -> bool:
        offered = VideoFormat(name)
        if not offered.components:  # pictures in a graphics card's memory
            return False
        if offered.has_palette or offered.is_bayer:
            return False
        if any(c.is_alpha for c in offered.components) != alpha or (alpha and not holds(name)):
            return False
        _, c_across, c_down, _ = _traits(name)
        return not (
            choice.rules.even and ((odd[0] and 0 < c_across < 1) or (odd[1] and 0 < c_down < 1))
        )

    def cost(name: str) -> tuple[bool, bool, int, float, int, float, bool, bool]:
        c_depth, c_across, c_down, c_colour = _traits(name)
        lost = max(0.0, across - c_across) + max(0.0, down - c_down)
        extra = max(0.0, c_across - across) + max(0.0, c_down - down)
        semi_planar = not name.startswith(("yuv", "gray"))
        return (
            colour and not c_colour,
            # Better than grey: PNG, GIF and other animations know nothing else.
            VideoFormat(name).is_rgb,
            max(0, depth - c_depth),
            lost,
            max(0, c_depth - depth),
            extra,
            semi_planar,
            name.startswith("yuvj") != wanted.startswith("yuvj"),
        )

    candidates = [name for name in choice.formats if usable(name)]
    if not candidates and alpha:
        raise UsageError(f"the encoder {choice.name} keeps no transparency")
    if not candidates:
        raise UsageError(f"the encoder {choice.name} takes no pictures of this size")
    if wanted in candidates:
        return wanted
    return min(candidates, key=cost)


def format_remark(wanted: str, used: str, encoder: str, *, odd: bool) -> str | None:
    """One sentence where the pixel format had to change, None where no sample is touched."""
    if re.sub("yuv[aj]", "yuv", used) == wanted.replace("yuvj", "yuv"):
        return None
    if odd and _traits(wanted)[0] == _traits(used)[0]:
        return (
            f"{encoder} cannot encode an odd width or height in {wanted}, so the output is {used}; "
            "libvpx-vp9 could"
        )
    who = "Y4M" if encoder == "wrapped_avframe" else encoder
    return f"{who} does not take {wanted}, so the output is {used}"


def says_shape(encoder: str) -> bool:
    """Whether what an encoder gives says by itself how wide a sample is."""
    return encoder in _SAY_SHAPE


def why_refused(
    name: str,
    options: Mapping[str, str],
    width: int,
    height: int,
    pixel_format: str,
    tick: Fraction,
) -> str:
    """In FFmpeg's words, why an encoder does not open; "" where it does.

    Args:
        name: of the encoder.
        options: what to open it with.
        width: of the pictures, in pixels.
        height: of the pictures, in pixels.
        pixel_format: of the pictures.
        tick: seconds per tick of their clock.
    """
    again = CodecContext.create(name, "w")
    assert isinstance(again, VideoCodecContext)
    again.width, again.height, again.pix_fmt = width, height, pixel_format
    again.time_base, again.framerate = tick, Fraction(25)
    again.options = dict(options)
    # PyAV keeps FFmpeg quiet, and says nothing twice; it has to be listened to for a moment.
    level, once = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as said:
            again.open()
    except (av.FFmpegError, ValueError) as error:
        words = [" ".join(text.split()).rstrip(".") for _, _, text in said if text.strip()]
        return "; ".join(dict.fromkeys(words)) or getattr(error, "strerror", None) or str(error)
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(once)
    return ""


_WITHOUT_HARDWARE = {
    "unsupported device": "this card has no video encoder, as most that are made for computing",
    "cannot load libcuda": "there is no NVIDIA driver here",
    "cannot load nvcuda": "there is no NVIDIA driver here",
    "cannot load libnvidia-encode": "NVIDIA's driver is here without its video part",
    "cannot load nvencodeapi": "NVIDIA's driver is here without its video part",
    "no capable devices": "no card here can encode with it",
}
"""What FFmpeg says, in small letters, of encoders of hardware that is not there."""
_IN_SOFTWARE = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1"}


def without_hardware(name: str, said: str) -> str:
    """What an encoder of a card's lacks, and the one to ask for instead; "" where nothing.

    Args:
        name: of the encoder.
        said: why it does not open, of `why_refused`.
    """
    words = said.lower()
    cause = next((cause for sign, cause in _WITHOUT_HARDWARE.items() if sign in words), "")
    instead = _IN_SOFTWARE.get(name.partition("_")[0], "libx264")
    return f"{cause} ({said}); use {instead}" if cause else ""


def refusal(choice: EncoderChoice, size: tuple[int, int], pixel_format: str, tick: Fraction) -> str:
    """That an encoder did not open, and why, as the rest of a sentence.

    Args:
        choice: the encoder and what it was opened with.
        size: width and height of the pictures, in pixels.
        pixel_format: of the pictures.
        tick: seconds per tick of their clock.
    """
    width, height = size
    said = why_refused(choice.name, choice.options, width, height, pixel_format, tick)
    if cause := without_hardware(choice.name, said):
        return f"{choice.name} does not work here: {cause}"
    return (
        f"{choice.name} refuses pictures of {width}x{height} in {pixel_format} or its settings "
        f"({said or 'for a reason that it does not say'})"
    )


def encoder_names() -> list[str]:
    """The video encoders that are known here and can be asked for by `--codec`."""
    return [name for name in _ENCODERS if name in av.codecs_available]
