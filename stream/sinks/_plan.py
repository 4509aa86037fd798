"""How a video file is to be written: its container, its encoder and its clock."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from stream.errors import UsageError
from stream.frame import VideoInfo
from stream.sinks._containers import ContainerKind, choose_container, frame_grid
from stream.sinks._encoders import EncoderChoice, choose_encoder
from stream.sinks._trial import holds_video

# Denominators above this are finer than any muxer's clock is meant to be.
_FINEST_CLOCK = 1_000_000
# By how much the first pictures' rate may differ from the whole file's where that is constant, and
# the clock for files whose is not: a multiple of nearly all rates there are, as the places between
# two pictures of a file without times cost little.
_SAME_RATE = Fraction(1, 20)
_FINE_GRID = Fraction(1, 300)


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
        raise UsageError(
            f"{path.suffix} files do not hold what {choice.name} encodes; choose another codec or "
            "another file ending"
        )
    return kind, choice


def choose_tick(info: VideoInfo, kind: ContainerKind, choice: EncoderChoice) -> Fraction:
    """Seconds per tick of the output's pictures: those of the input, as far as they can be kept."""
    if not kind.timestamps:
        rate = info.rate or Fraction(25)
        constant = info.fastest is None or abs(info.fastest / rate - 1) < _SAME_RATE
        return frame_grid(rate) if constant else _FINE_GRID
    tick = info.time_base
    finest = min(choice.rules.largest_clock or _FINEST_CLOCK, _FINEST_CLOCK)
    if tick.denominator > finest:
        # A multiple of the tick where that is fine enough, else the finest clock itself.
        times = -(-tick.denominator // finest)
        coarse = tick * times
        tick = coarse if coarse.denominator <= finest else Fraction(1, finest)
    return tick
