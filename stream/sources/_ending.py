"""Whether a file ends before the end that it declares."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.stream import VideoStream

# Seconds that may be missing at the end without the file being cut short.
_SHORT = Fraction(1, 2)


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
