"""Lines and zones in a picture, and what was counted at them up to a frame."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stream.errors import UsageError
from stream.wording.words import counted

Point = tuple[float, float]
"""x and y in pixels of the picture."""

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(%?)")
_FARTHEST = 1e6


@dataclass(frozen=True, slots=True)
class Region:
    """A line or a zone, as it was asked for.

    Attributes:
        name: for people.
        corners: x and y in turns, each with whether it is percent of the picture's width or height.
    """

    name: str
    corners: tuple[tuple[float, bool], ...]

    @property
    def in_pixels(self) -> bool:
        """Whether a corner is not said in percent; 0 is the same in both."""
        return any(value and not percent for value, percent in self.corners)

    def points(self, size: tuple[int, int]) -> tuple[Point, ...]:
        """Its corners in pixels of a picture of (height, width)."""
        height, width = size
        sides = [
            value * (height if place % 2 else width) / 100 if percent else value
            for place, (value, percent) in enumerate(self.corners)
        ]
        return tuple(zip(sides[::2], sides[1::2], strict=True))


def parse_line(text: str, name: str) -> Region:
    """`100,200,500,200`, `0,50%,100%,50%` or `door=0,50%,100%,50%`.

    Args:
        text: as it was typed.
        name: what it is called where the text does not say.

    Raises:
        UsageError: it is no line.
    """
    region = _region(text, name, "--line", "x1,y1,x2,y2, such as 0,50%,100%,50%")
    if len(region.corners) != 4:
        raise UsageError(
            "--line is x1,y1,x2,y2, such as 0,50%,100%,50%, not "
            + counted(len(region.corners), "number")
        )
    if region.corners[:2] == region.corners[2:]:
        raise UsageError(f"--line begins and ends at one point: {text}")
    return region


def parse_zone(text: str, name: str) -> Region:
    """As `parse_line`, with three corners or more.

    Raises:
        UsageError: it is no zone.
    """
    region = _region(text, name, "--zone", "x,y of three corners or more, such as 0,0,9,0,9,50%")
    if len(region.corners) < 6 or len(region.corners) % 2:
        raise UsageError(
            f"--zone is x,y of three corners or more, not {counted(len(region.corners), 'number')}"
        )
    return region


def parse_regions(lines: Sequence[str], zones: Sequence[str]) -> tuple[list[Region], list[Region]]:
    """Lines and zones, each with a name of its own.

    Raises:
        UsageError: one of them is none, or two have one name.
    """
    found = (
        [parse_line(text, f"line {count}") for count, text in enumerate(lines, start=1)],
        [parse_zone(text, f"zone {count}") for count, text in enumerate(zones, start=1)],
    )
    names = [one.name for kind in found for one in kind]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two lines or zones are called {name!r}; give each its own name")
    return found


def _region(text: str, name: str, flag: str, form: str) -> Region:
    named, equals, rest = text.rpartition("=")
    corners = []
    for part in rest.split(","):
        number = _NUMBER.fullmatch(part.strip())
        if number is None or abs(float(number[1])) > _FARTHEST:
            raise UsageError(f"{flag} is {form}, not {text[:60]!r}")
        corners.append((float(number[1]), number[2] == "%"))
    if all(0 <= value <= 1 and not percent for value, percent in corners) and len(corners) > 3:
        shares = ",".join(f"{100 * value:g}%" if value else "0" for value, _ in corners)
        meant = f"; did you mean {shares}?" if any(value for value, _ in corners) else ""
        raise UsageError(
            f"{flag} is in pixels or in percent, and all of {text[:60]!r} lies in one pixel{meant}"
        )
    if equals and not named.strip():
        raise UsageError(f"{flag} has an empty name before the =: {text[:60]}")
    try:
        named.encode()
    except UnicodeEncodeError as error:
        # A terminal of another encoding gives such, and no record can hold it.
        raise UsageError(f"{flag} has a name that is no text in UTF-8: {text[:60]!r}") from error
    return Region(named.strip() or name, tuple(corners))


@dataclass(frozen=True, slots=True)
class LineTally:
    """What has crossed a line so far, by class.

    Attributes:
        name: the line's.
        points: its two ends, in pixels.
        into: from its left to its right, as seen by who looks from its first end to its second.
        out: the other way.
    """

    name: str
    points: tuple[Point, ...]
    into: Mapping[str, int] = field(default_factory=dict)
    out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ZoneTally:
    """What is in a zone, and what has come and gone, by class.

    Attributes:
        name: the zone's.
        points: its corners, in pixels.
        now: how many are in it.
        into: how many have come in over its edge.
        out: how many have left over its edge.
    """

    name: str
    points: tuple[Point, ...]
    now: Mapping[str, int] = field(default_factory=dict)
    into: Mapping[str, int] = field(default_factory=dict)
    out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted up to a frame."""

    lines: tuple[LineTally, ...] = ()
    zones: tuple[ZoneTally, ...] = ()


def side(point: Point, ends: Sequence[Point]) -> float:
    """How far a point lies to the right of a line, in pixels; below 0 on its left.

    Right is as seen by who looks from the first end to the second; y grows downwards.
    """
    (x1, y1), (x2, y2) = ends
    dx, dy = x2 - x1, y2 - y1
    return (dx * (point[1] - y1) - dy * (point[0] - x1)) / math.hypot(dx, dy)


def crosses(before: Point, after: Point, ends: Sequence[Point]) -> bool:
    """Whether a straight way from one side of a line to the other meets it between its ends."""
    first, last = side(before, ends), side(after, ends)
    share = first / (first - last) if first != last else 0.5
    x, y = (one + share * (other - one) for one, other in zip(before, after, strict=True))
    (x1, y1), (x2, y2) = ends
    dx, dy = x2 - x1, y2 - y1
    along = ((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy)
    return 0 <= along <= 1


def depth(point: Point, corners: Sequence[Point]) -> float:
    """How far a point lies inside a polygon, in pixels; below 0 outside."""
    inside, nearest = False, math.inf
    x, y = point
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
            inside = not inside
        dx, dy = x2 - x1, y2 - y1
        length = dx * dx + dy * dy
        along = 0.0 if not length else ((x - x1) * dx + (y - y1) * dy) / length
        along = min(1.0, max(0.0, along))
        nearest = min(nearest, math.hypot(x - x1 - along * dx, y - y1 - along * dy))
    return nearest if inside else -nearest


def area(corners: Sequence[Point]) -> float:
    """The area of a polygon, in pixels (the shoelace formula)."""
    twice = sum(
        x1 * y2 - x2 * y1
        for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True)
    )
    return abs(twice) / 2
