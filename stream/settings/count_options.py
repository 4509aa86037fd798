"""The options of what is counted; `stream.settings.options` has them with all others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stream.settings.option import option, parse_file
from stream.tally import parse_regions


@dataclass(frozen=True, slots=True)
class CountOptions:
    """What is counted."""

    line: tuple[str, ...] | None = option(
        None,
        "Count objects that cross this line. In is to the right, seen from its first end towards "
        "its second, and out is the other way. In pixels, or in percent of width and height; "
        "--look overlay+counts draws it. May be given several times.",
        said="no line",
        metavar="[NAME=]X1,Y1,X2,Y2",
        many=True,
    )
    zone: tuple[str, ...] | None = option(
        None,
        "Count objects in this polygon, for how long they stay, and how many enter and leave. "
        "Given as lines are.",
        said="no zone",
        metavar="[NAME=]X,Y,X,Y,X,Y…",
        many=True,
    )
    count_at: str = option(
        "centre",
        "Where an object is: the centre of its mask, or the bottom of its box, where people stand.",
        choices=("centre", "bottom"),
    )
    plot: Path | None = option(
        None,
        "Also draw what was counted over time into this picture.",
        said="no plot",
        metavar="FILE.png",
        parse=parse_file,
    )

    def __post_init__(self) -> None:
        parse_regions(self.line or (), self.zone or ())
