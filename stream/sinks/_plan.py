"""How a video file is to be written: its container, its encoder and its clock."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from av.codec.context import ThreadType
from av.video.codeccontext import VideoCodecContext
from av.video.format import VideoFormat

from stream.errors import UsageError
from stream.frame import VideoInfo
from stream.pictures.mastering import TELLING, with_mastering
from stream.pictures.pixels import has_alpha
from stream.pictures.siting import SHRUNK
from stream.settings.options import OutputOptions
from stream.sinks._alpha import ENCODERS
from stream.sinks._containers import (
    ALPHA_ENDINGS,
    ENDINGS,
    ContainerKind,
    choose_container,
    frame_grid,
)
from stream.sinks._encoder_formats import unusual
from stream.sinks._encoders import EncoderChoice, choose_encoder, format_options
from stream.sinks._names import called
from stream.sinks._trial import holds_video
from stream.sinks._trial_colours import lost_colours, lost_siting, says_range
from stream.system.cpu import processor
from stream.wording.words import counted

# How far a player has to look back when seeking, and how much of an MP4 a crash may cost.
KEYFRAME_EVERY = Fraction(2)
"""Seconds between two key frames."""

_RANGE = {None: 0, False: 1, True: 2}
IDENTITIES_CODEC = "ffv1"
"""What keeps values of 16 bits."""

# Denominators above this are finer than any muxer's clock is meant to be.
_FINEST_CLOCK = 1_000_000
# By how much the first pictures' rate may differ from the whole file's where that is constant, and
# the clock for files whose is not: a multiple of nearly all rates there are, as the places between
# two pictures of a file without times cost little.
_SAME_RATE = Fraction(1, 20)
_FINE_GRID = Fraction(1, 300)
_NONE = Fraction(0)


def choose(
    path: Path, codec: str | None, crf: float | None, preset: str | None
) -> tuple[ContainerKind, EncoderChoice]:
    """The container that a path asks for, and the encoder.

    Args:
        path: its ending says which container.
        codec: the encoder that is asked for, None for the container's default.
        crf: the quality that is asked for.
        preset: the speed that is asked for.

    Raises:
        UsageError: one of them is not possible, or the container does not hold the encoder's video.
    """
    kind = choose_container(path)
    choice = choose_encoder(codec or kind.video, crf, preset)
    if not holds_video(kind, choice.name, choice.options):
        others = ((ending, choose_container(Path(f"a{ending}"))) for ending in ENDINGS)
        held = [
            ending for ending, other in others if holds_video(other, choice.name, choice.options)
        ]
        instead = f"an ending that does ({', '.join(held)})" if held else "another file ending"
        raise UsageError(
            f"{path.suffix} files do not hold what {choice.name} encodes; choose another codec or "
            f"{instead}"
        )
    return kind, choice


def choose_alpha(
    path: Path, codec: str | None, crf: float | None, preset: str | None
) -> tuple[ContainerKind, EncoderChoice]:
    """As `choose`, for pictures with transparency.

    Raises:
        UsageError: also where the container or the encoder holds none.
    """
    kind = choose_container(path)
    if kind.alpha is None:
        raise UsageError(refusal(path))
    found = choose(path, codec or kind.alpha, crf, preset)
    if found[1].name not in ENCODERS:
        raise UsageError(
            f"{path} is to keep transparency, which {found[1].name} does not; leave --codec away "
            f"for {kind.alpha}, or choose one of {', '.join(ENCODERS)}"
        )
    if found[1].name.startswith("libvpx"):
        found[1].options["auto-alt-ref"] = "0"  # VP8 refuses transparency with them
    return found


def check_identities(path: Path, options: OutputOptions) -> None:
    """Makes sure that a file keeps every value of 16-bit grey pictures.

    Raises:
        UsageError: it does not.
    """
    codec = options.codec
    if options.pixel_format is not None:
        raise UsageError("identities have a pixel format of their own: leave --pixel-format away")
    if path.suffix.lower() != ".mkv" or codec not in (None, IDENTITIES_CODEC):
        raise UsageError(
            f"{path} does not keep the 16-bit values of identities exactly"
            + (f" with the codec {codec}" if codec not in (None, IDENTITIES_CODEC) else "")
            + "; .mkv (FFV1), .png and .tif do"
        )
    choose(path, IDENTITIES_CODEC, options.crf, options.preset)


def refusal(path: Path) -> str:
    """Why an output cannot keep transparency, and which could."""
    return (
        f"{path} holds no transparency, which the look cutout gives; "
        f"{', '.join(ALPHA_ENDINGS)}, .png and .webp do, or lay the objects on a colour or a "
        "picture with the look replace"
    )


def choose_tick(info: VideoInfo, kind: ContainerKind, choice: EncoderChoice) -> Fraction:
    """Seconds per tick of the output's pictures: those of the input, as far as they can be kept."""
    if kind.timestamps and choice.rules.rates is not None:
        return 1 / (_known_rate(info, choice.rules.rates) or choice.rules.rates[-1])
    if not kind.timestamps:
        rate = info.rate or Fraction(25)
        return frame_grid(rate) if _is_constant(info, rate) else _FINE_GRID
    tick = info.time_base
    finest = min(choice.rules.largest_clock or _FINEST_CLOCK, _FINEST_CLOCK)
    if tick.denominator > finest:
        # A multiple of the tick where that is fine enough, else the finest clock itself.
        times = -(-tick.denominator // finest)
        coarse = tick * times
        tick = coarse if coarse.denominator <= finest else Fraction(1, finest)
    return tick


def _known_rate(info: VideoInfo, rates: Sequence[Fraction]) -> Fraction | None:
    """The first of these rates whose ticks have every picture's time; None where none has."""
    rate = info.rate or Fraction(25)
    fits = (one for one in rates if (one / rate).denominator == 1)
    return next(fits, None) if _is_constant(info, rate) else None


def _is_constant(info: VideoInfo, rate: Fraction) -> bool:
    return info.fastest is None or abs(info.fastest / rate - 1) < _SAME_RATE


def rate_of(info: VideoInfo) -> Fraction:
    """Pictures per second as an encoder is to take them; some rates of damaged files are none.

    Never more than the clock has ticks: libvpx refuses pictures that last no tick.
    """
    rate = info.rate if info.rate and 0 < info.rate <= 1000 else Fraction(30)
    return min(rate, 1 / info.time_base)


def uses_all_values(info: VideoInfo) -> bool:
    """Whether a source's samples use all values, black being 0."""
    return info.colour.full_range is True or info.pixel_format.startswith("yuvj")


def keeps_range(kind: ContainerKind, choice: EncoderChoice, pixel_format: str) -> bool:
    """Whether samples that use all values are known as such where the file is read.

    Args:
        kind: the container.
        choice: the encoder and its settings.
        pixel_format: that it is given pictures in.
    """
    if VideoFormat(pixel_format).is_rgb:
        return True
    if choice.asked:  # Who asks for yuv420p, not yuvj420p, wants what all players take it for.
        return not pixel_format.startswith("yuv") or pixel_format.startswith("yuvj")
    return says_range(kind, choice.name, choice.options, pixel_format)


def narrowed(info: VideoInfo, kind: ContainerKind, choice: EncoderChoice) -> tuple[VideoInfo, str]:
    """What is said of a source whose samples are brought to the values of film, and why."""
    colour = replace(info.colour, full_range=False)
    pixel_format = info.pixel_format.replace("yuvj", "yuv")
    why = f"{choice.name} in {called(kind)} cannot say that samples use all values"
    if choice.asked and choice.formats:
        why = f"samples in {choice.formats[0]} do not use all values"
    return replace(info, colour=colour, pixel_format=pixel_format), (
        f"{why}, so these are narrowed to those of film; it looks the same"
    )


def lost(
    info: VideoInfo, kind: ContainerKind, choice: EncoderChoice, pixel_format: str, ending: str
) -> list[str]:
    """What is to be said of a source's colours and times that the file cannot hold, or few show.

    Args:
        info: what the source says of its video.
        kind: the container.
        choice: the encoder and its settings.
        pixel_format: that it is given pictures in.
        ending: of the file.
    """
    said = []
    tags = lost_colours(kind, choice.name, choice.options, pixel_format, info.colour)
    if lost_siting(kind, choice.name, choice.options, pixel_format, info.siting):
        tags.append("chroma location")
    if tags and not info.exact:
        said.append(
            f"the film's colour tags ({', '.join(tags)}) are lost, which {choice.name} in {ending} "
            "cannot hold; libx264 can"
        )
    if info.mastering.parts and choice.name not in TELLING and not info.exact:
        said.append(
            f"the film's HDR10 data ({' and '.join(info.mastering.parts)}) is not kept by "
            f"{choice.name}; {', '.join(TELLING)} keep it"
        )
    rates = choice.rules.rates
    if kind.timestamps and rates is not None and _known_rate(info, rates) is None:
        said.append(
            f"{choice.name} knows few frame rates, and the film has none of them throughout: "
            f"pictures are up to {float(500 / rates[-1]):.0f} ms off their time; libx264 keeps it"
        )
    # Who has such a film of H.264 already, or asks for one, knows.
    if info.codec != "h264" and not choice.asked:
        odd = bool(info.width % 2 or info.height % 2)
        said += unusual(choice.name, pixel_format, ending, odd=odd)
    return said


def configure(
    context: VideoCodecContext,
    info: VideoInfo,
    kind: ContainerKind,
    choice: EncoderChoice,
    pixel_format: str,
    threads: int | None,
) -> None:
    """Tells an encoder what the pictures are and what is asked of it.

    Args:
        context: of the encoder, not open yet.
        info: what the source says of its video.
        kind: the container.
        choice: the encoder and its settings.
        pixel_format: that it is given pictures in.
        threads: of the encoder; None for as many as it finds good.
    """
    context.pix_fmt = pixel_format
    context.sample_aspect_ratio = info.sample_aspect_ratio
    context.color_primaries = info.colour.primaries
    context.color_trc = info.colour.transfer
    context.colorspace = info.colour.matrix
    context.color_range = _RANGE[uses_all_values(info) or info.colour.full_range]
    if info.siting and SHRUNK.match(pixel_format) is not None:
        context.options = {**context.options, "chroma_sample_location": info.siting}
    if VideoFormat(pixel_format).is_rgb:
        context.colorspace, context.color_range = 0, 2
    # Keyframes are asked for by time; this is for encoders that do not listen.
    context.gop_size = 1 if choice.name == "ffv1" else max(1, round(rate_of(info) * KEYFRAME_EVERY))
    quantiser = choice.qscale
    if choice.name == "prores_ks" and quantiser is None:
        # By a rate it searches, which takes four times as long as all else. With transparency it
        # comes to 1, to a few bytes; without, to sizes that are 4's in the mean of five films (0.5
        # to 1.9 of it), of which those that are hard to store had 44 dB, where 4 has 52 and more.
        quantiser = 1 if has_alpha(VideoFormat(pixel_format)) else 4
    context.options = {**context.options, **format_options(choice.name, pixel_format)}
    if quantiser is not None:
        context.qscale = True
        context.global_quality = quantiser
    elif choice.name == "libvpx":
        # Its quality mode works below a ceiling, in bits per second.
        context.bit_rate = 40_000_000
    if not kind.timestamps:
        # Without presentation times pictures must be stored in the order they are shown.
        context.max_b_frames = 0
    if threads is None and choice.name == "libvpx":
        # Its threads wait for each other without sleeping: beside inference two took 70 ms of
        # processor time and 240 ms for a picture of 1280x720 that one has done in 5 and 30.
        threads = 1
    if choice.name == "libx264" and choice.options.get("tune") != "zerolatency":
        # Its threads take whole pictures then, not parts of each, which takes a tenth less of its
        # time and leaves pictures in one piece; each is a few pictures later.
        context.thread_type = ThreadType.FRAME
    if choice.name == "libx264" and not _same_each_time(info.width):
        context.options = {**context.options, "x264-params": _UP_TO_AVX2}
    context.options = with_mastering(context.options, choice.name, info.mastering)
    if threads is not None:
        context.thread_count = threads


_BLOCK = 16
"""Pixels that x264's blocks are wide."""
_AT_ONCE = 8
"""Blocks that its functions for AVX-512 take at once."""
_UP_TO_AVX2 = "asm=avx2,fma3,bmi2,lzcnt"


def _same_each_time(width: int) -> bool:
    """Whether x264 writes the same bits for the same pictures each time.

    Its block tree with AVX-512 reads beyond the end of a row of blocks, where memory holds whatever
    was there, unless a row fills whole registers: a film now and then came out in other bits. With
    the functions for AVX2 it does not, which takes 0 to 3 % longer.
    """
    blocks = -(-width // _BLOCK)
    return blocks % _AT_ONCE == 0 or not {"avx2", "avx512"} <= processor().features


def moved(
    ending: str, kind: ContainerKind, *, fitted: int, shuffled: int, off: Fraction = _NONE
) -> list[str]:
    """What became of pictures on their way into a file, a sentence each.

    Args:
        ending: of the file, for people.
        kind: the container.
        fitted: how many had another size.
        shuffled: how many are not shown at their own time.
        off: by how many frames at most.
    """
    said = []
    if fitted:
        several = counted(fitted, "picture of another size was", "pictures of another size were")
        said.append(f"{several} fitted between black bars")
    if shuffled and kind.timestamps:
        were = "was" if shuffled == 1 else "were"
        said.append(
            f"{counted(shuffled, 'picture')} came closer together than {ending} can tell apart and "
            f"{were} moved by a tick"
        )
    elif shuffled:
        several = counted(shuffled, "picture is", "pictures are")
        far = "a frame" if off <= 1 else f"{math.ceil(off)} frames"
        said.append(
            f"{ending} holds a constant frame rate only, so {several} shown up to {far} off "
            f"{'its' if shuffled == 1 else 'their'} time; .mp4 and .mkv keep it"
        )
    return said
