"""Containers by file ending: what each is called, holds and needs to survive a crash."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer

from stream.errors import UsageError

# MP4 and MOV are written as fragments and rewritten into a normal file at the end. The header
# waits for the first fragment (delay_moov): only then does it know where each stream starts, and
# B-frames would otherwise move the picture against the sound. A fragment is at most a second.
_FRAGMENTS = {
    "movflags": "+hybrid_fragmented+delay_moov",
    "frag_duration": "1000000",
    "strict": "experimental",
}
_COMMON = {
    # What has been muxed goes to the file at once.
    "flush_packets": "1",
    # Streams are not kept waiting for each other for longer than this (microseconds): what waits
    # is lost in a crash.
    "max_interleave_delta": "1000000",
}
_CLUSTERS = {"cluster_time_limit": "1000", "avoid_negative_ts": "disabled"}


@dataclass(frozen=True, slots=True)
class ContainerKind:
    """One kind of output file.

    Attributes:
        format: FFmpeg's name of the muxer.
        video: the encoder used when none is asked for.
        audio: the encoder for sound that the container cannot hold as it is.
        subtitles: the codec of text subtitles that it holds, None where it holds none.
        options: what to open the muxer with.
        timestamps: whether pictures carry times; else they lie on a grid of the frame rate.
    """

    format: str
    video: str = "libx264"
    audio: str = "aac"
    subtitles: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    timestamps: bool = True


_MP4 = ContainerKind("mp4", subtitles="mov_text", options=_FRAGMENTS)
_TS = ContainerKind("mpegts")
_KINDS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": ContainerKind("mov", subtitles="mov_text", options=_FRAGMENTS),
    ".mkv": ContainerKind("matroska", subtitles="subrip", options=_CLUSTERS),
    ".webm": ContainerKind("webm", "libvpx-vp9", "libopus", "webvtt", _CLUSTERS),
    ".avi": ContainerKind("avi", audio="libmp3lame", timestamps=False),
    ".ts": _TS,
    ".mts": _TS,
    ".m2ts": ContainerKind("mpegts", options={"mpegts_m2ts_mode": "1"}),
    ".flv": ContainerKind("flv"),
}


def choose_container(path: Path) -> ContainerKind:
    """The container that a file's ending stands for.

    Raises:
        UsageError: the ending is missing or unknown.
    """
    ending = path.suffix.lower()
    if ending not in _KINDS:
        known = ", ".join(_KINDS)
        what = f"the ending {ending} is not known" if ending else "the name has no ending"
        raise UsageError(f"{path} cannot be written: {what}; use one of {known}")
    return _KINDS[ending]


def muxer_options(kind: ContainerKind) -> dict[str, str]:
    """What to open the muxer of a kind of file with."""
    return {**_COMMON, **kind.options}


def refusal(kind: ContainerKind, add: Callable[[OutputContainer], object]) -> str | None:
    """Tries a stream in an empty file in memory; None if the container takes it, or why not."""
    trial = av.open(
        io.BytesIO(), "w", format=kind.format, container_options={"strict": "experimental"}
    )
    try:
        add(trial)
        trial.start_encoding()
    except (av.FFmpegError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    finally:
        try:
            trial.close()
        except (av.FFmpegError, ValueError):
            # It never held a packet; some muxers mind.
            trial = None  # type: ignore[assignment]
    return None


def frame_grid(rate: Fraction | None) -> Fraction:
    """Seconds per tick for containers without timestamps."""
    return 1 / (rate or Fraction(25))
