"""How long the last picture lasts, and whether a file ends before the end that it declares."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

# Seconds that may be missing at the end without the file being cut short.
_SHORT = Fraction(1, 2)
# Seconds that no picture is shown less than, and that one alone is shown where nothing is said.
_LEAST, _ALONE = Fraction(1, 500), Fraction(1, 25)


def declared(container: InputContainer) -> Fraction | None:
    """Seconds from a file's beginning to its end, as it declares; None where it does not.

    Some programs give Matroska its length, and some the time at which it ends: where the clock
    begins late the smaller one is taken.
    """
    if not container.duration:
        return None
    whole = Fraction(container.duration, av.time_base)
    began = Fraction(container.start_time or 0, av.time_base)
    if "matroska" in container.format.name and 0 < began < whole:
        return whole - began
    return whole


def declared_end(container: InputContainer, video: VideoStream, *, exact: bool) -> Fraction | None:
    """When the pictures end, in seconds on the stored clock, as the file declares.

    Args:
        container: the file.
        video: the stream of pictures.
        exact: whether only the stream's own word counts, and not the whole file's.
    """
    if video.duration and video.time_base:
        return ((video.start_time or 0) + video.duration) * video.time_base
    if exact or not container.duration:
        return None
    return Fraction((container.start_time or 0) + container.duration, av.time_base)


def last_length(
    container: InputContainer,
    video: VideoStream,
    begin: int,
    nominal: int,
    *,
    exact: bool,
    alone: bool,
) -> int:
    """How many ticks the last picture lasts: to the declared end, if that is near its own length.

    Args:
        container: the file.
        video: the stream of pictures.
        begin: when it is shown, in ticks on the stored clock.
        nominal: its own length, in ticks; 1 may mean that nothing is known of it.
        exact: whether only the stream's own word counts, and not the whole file's.
        alone: whether it is the only picture.
    """
    tick = Fraction(video.time_base or 1)
    unknown = alone and nominal == 1
    end = declared_end(container, video, exact=exact and not unknown)
    left = 0 if end is None else round(end / tick) - begin
    if unknown:
        # FFmpeg says one or two ticks where a broadcast of one picture does not.
        return left if left * tick >= _LEAST else max(1, round(_ALONE / tick))
    least = 1 if exact else nominal / 2
    return left if least <= left <= nominal * 1.5 else nominal


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a file could be read.

    Attributes:
        pictures: how many came, or were damaged.
        seen: when the last picture ends, in seconds on the stored clock.
        anything: when the last packet of any kind ends, in seconds on the stored clock.
    """

    pictures: int
    seen: Fraction
    anything: Fraction


def cut_short(
    name: str, container: InputContainer, video: VideoStream, reached: Reached, *, counts: bool
) -> str | None:
    """A sentence where a file that was read to its end is cut short; None where it is not.

    Args:
        name: of the file.
        container: the file.
        video: the stream that was decoded.
        reached: how far it came.
        counts: whether the number of pictures that it declares is that of pictures to come.
    """
    grid = container.format.name == "avi"
    began = Fraction(container.start_time or 0, av.time_base)
    whole = declared(container)
    if grid and video.average_rate:
        # AVI counts the places for pictures, empty ones included; FFmpeg, what it finds.
        whole = max(whole or Fraction(0), video.frames / video.average_rate)
    counted = video.frames if counts and not grid else 0
    missing = counted - reached.pictures
    if counted and missing > max(2, counted // 50):
        end = declared_end(container, video, exact=False)
        # A list of edits may leave out what is counted.
        if end is None or end - reached.seen > _SHORT / 5:
            return (
                f"{name} is cut short: it declares {counted} pictures and holds {reached.pictures}"
            )
    if whole is not None and began + whole - reached.anything > max(_SHORT, whole / 50):
        return (
            f"{name} is cut short: it declares {float(whole):.1f} seconds and ends after "
            f"{float(reached.anything - began):.1f}"
        )
    return None


class Growth:
    """Whether a file becomes longer while it is read, as one that is still being recorded does.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = self._now()

    @property
    def remarks(self) -> list[str]:
        """What is to be said of it where it was read to its end."""
        if self._now() <= self._size:
            return []
        return [
            f"{self._path.name} was still being written while it was read; what comes later is "
            "not taken"
        ]

    def _now(self) -> int:
        """Bytes; 0 of a pipe, and of what was taken away meanwhile."""
        with contextlib.suppress(OSError):
            return self._path.stat().st_size if self._path.is_file() else 0
        return 0
