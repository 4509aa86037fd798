"""Containers by file ending: what each is called, holds and needs to survive a crash."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from av.stream import Stream

from stream.errors import UsageError

# MP4 and MOV are written as fragments and rewritten into a normal file at the end. The header
# waits for the first fragment (delay_moov): only then does it know where each stream starts, and
# B-frames would otherwise move the picture against the sound. Fragments are cut at keyframes: cut
# by time between B-frames, FFmpeg forgets the end of the picture that is shown last, and players
# leave it out. The limit by time (microseconds) is for sound that goes on after the last picture.
_FRAGMENTS = {
    "movflags": "+hybrid_fragmented+delay_moov+frag_keyframe",
    "min_frag_duration": "400000",
    "frag_duration": "10000000",
    "strict": "experimental",
}
_COMMON = {
    # What has been muxed goes to the file at once.
    "flush_packets": "1",
    # Streams are not kept waiting for each other for longer than this (microseconds): what waits
    # is lost in a crash.
    "max_interleave_delta": "1000000",
}
_FINEST_MOVIE_CLOCK = 10_000_000
_CLUSTERS = {"cluster_time_limit": "1000", "avoid_negative_ts": "disabled"}


@dataclass(frozen=True, slots=True)
class ContainerKind:
    """One kind of output file.

    Attributes:
        format: FFmpeg's name of the muxer.
        video: the encoder used when none is asked for.
        audio: the encoder for sound that the container cannot hold as it is.
        samples: whether sound that the container cannot hold is stored as samples where these take
            hardly more room and lose nothing; all readers of it know them.
        lossless: encoders for sound without loss that it cannot hold as it is, the best first;
            "pcm" for samples of any depth as they are.
        subtitles: the codec of text subtitles that it holds, None where it holds none.
        options: what to open the muxer with.
        timestamps: whether pictures carry times; else they lie on a grid of the frame rate.
        fills: whether each picture follows the one before at once, so that one is shown again where
            the next is later.
        alone: whether it holds the pictures and nothing else.
        by_decode_time: whether a track's length is counted in decoding times.
        holds_anything: whether FFmpeg writes whatever it is given, also what no reader finds again.
        alpha: the encoder for pictures with transparency, None where the container holds none.
        sounds: the codecs of sound that go as they are; None for all that the container holds.
        channels: how many channels its sound has at most; None for as many as there are.
        longest: ticks from one packet to the next of its track at most; None for any number.
        said: what people call it; "" for the muxer's name.
        roles: whether streams keep what they are for, as far as the muxer holds it.
        tags: those of a film that it keeps, and none of streams; None for what trying finds out.
        becomes: what comes of it at last, which says what words are kept; None for itself.
    """

    format: str
    video: str = "libx264"
    audio: str = "aac"
    subtitles: str | None = None
    options: dict[str, str] = field(default_factory=dict, hash=False)
    timestamps: bool = True
    fills: bool = False
    alone: bool = False
    by_decode_time: bool = False
    holds_anything: bool = False
    alpha: str | None = None
    sounds: frozenset[str] | None = None
    channels: int | None = None
    longest: int | None = None
    said: str = ""
    samples: bool = False
    lossless: tuple[str, ...] = ()
    roles: bool = True
    tags: frozenset[str] | None = None
    becomes: ContainerKind | None = None


# It counts these steps in 32 bits, of which FFmpeg writes 31, and takes no picture that is shown
# more than 2**28 ticks after it is decoded, which may be some steps. Sources are away for nights.
MP4_LONGEST = 1 << 25

_MP4 = ContainerKind(
    "mp4",
    subtitles="mov_text",
    options=_FRAGMENTS,
    by_decode_time=True,
    longest=MP4_LONGEST,
    lossless=("alac", "flac"),
)
_TS = ContainerKind("mpegts", holds_anything=True)
_KINDS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": ContainerKind(
        "mov",
        subtitles="mov_text",
        options=_FRAGMENTS,
        by_decode_time=True,
        alpha="prores_ks",
        longest=MP4_LONGEST,
        samples=True,
        lossless=("alac", "pcm"),
    ),
    ".mkv": ContainerKind(
        "matroska",
        subtitles="subrip",
        options=_CLUSTERS,
        alpha="ffv1",
        samples=True,
        lossless=("flac", "pcm"),
    ),
    ".webm": ContainerKind(
        "webm", "libvpx-vp9", "libopus", "webvtt", _CLUSTERS, alpha="libvpx-vp9"
    ),
    # FFmpeg reads H.264 in AVI one frame late.
    ".avi": ContainerKind(
        "avi",
        "mpeg4",
        "libmp3lame",
        options={"avoid_negative_ts": "disabled"},
        timestamps=False,
        longest=60_000,  # empty pictures in a row that FFmpeg writes
        holds_anything=True,
        samples=True,
        lossless=("pcm",),
    ),
    ".ts": _TS,
    ".mts": _TS,
    ".m2ts": ContainerKind(
        "mpegts",
        options={"mpegts_m2ts_mode": "1"},
        holds_anything=True,
        lossless=("pcm_bluray",),
    ),
    # As it is, for other programs to read through a pipe.
    ".y4m": ContainerKind(
        "yuv4mpegpipe", "wrapped_avframe", timestamps=False, fills=True, alone=True
    ),
}

ENDINGS = tuple(_KINDS)
"""Of all video files that are written."""

ALPHA_ENDINGS = tuple(ending for ending, kind in _KINDS.items() if kind.alpha)
"""Of those that hold transparency."""


def choose_container(path: Path) -> ContainerKind:
    """The container that a file's ending stands for.

    Raises:
        UsageError: the ending is missing or unknown.
    """
    ending = path.suffix.lower()
    if ending not in _KINDS:
        known = ", ".join(_KINDS)
        what = f"the ending {ending} is not known" if ending else "the name has no ending"
        raise UsageError(
            f"{path} cannot be written: {what}; use one of {known}, for an animated picture .webp, "
            ".gif or .apng, or numbered pictures (out/%06d.png) for a picture a frame"
        )
    return _KINDS[ending]


def muxer_options(
    kind: ContainerKind, tick: Fraction, streams: Sequence[Stream], metadata: Iterable[str]
) -> dict[str, str]:
    """What to open the muxer of a kind of file with.

    Args:
        kind: the kind of file.
        tick: seconds per tick of the pictures' clock.
        streams: the streams that go with the pictures.
        metadata: the names of the file's tags.
    """
    options = {**_COMMON, **kind.options}
    if kind.by_decode_time:
        # MP4 says when each track starts and ends on a clock of the whole file, which by default
        # counts milliseconds; it must hit every track's times.
        scale = tick.denominator
        for stream in streams:
            finer = math.lcm(scale, Fraction(stream.time_base or 1).denominator)
            scale = finer if finer <= _FINEST_MOVIE_CLOCK else scale
        while scale < 10_000:
            scale *= 2
        options["movie_timescale"] = str(scale)
        if any(tag.startswith("com.") for tag in metadata):
            # A phone's tags fit into MP4's table of free names only, which has all tags or none.
            options["movflags"] += "+use_metadata_tags"
    return options


def frame_grid(rate: Fraction | None) -> Fraction:
    """Seconds per tick for containers without timestamps, of which pictures lie on a grid."""
    rate = rate or Fraction(25)
    # AVI's fields and MPEG-4's clock have 16 bits.
    return 1 / rate.limit_denominator(max(1, 65535 // math.ceil(rate)))
