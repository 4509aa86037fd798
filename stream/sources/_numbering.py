"""Which files a pattern such as `frames/%05d.png` names, at which rate, and what is missing."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from stream.errors import SourceError, UsageError
from stream.sources._container import explained
from stream.sources.folders import PICTURE_ENDINGS, VIDEO_ENDINGS, files_in
from stream.wording.names import is_result, numbered
from stream.wording.words import counted, joined

USUAL_RATE = 25
"""Pictures per second where nobody says it."""

_NTSC = Fraction(1000, 1001)
_NEAR = Fraction(1, 200)
"""Rates such as 29.97 that are written this near to a thousandth less than a whole one are that."""
_NAMED = 5
_LAST_NUMBER = re.compile(r"([^%]*?)(\d+)([^\d%]*\.[^%.]+)", re.ASCII)
"""In a picture's name the number that counts: its last one, before the ending."""


def rate_of(asked: float | Fraction | None) -> Fraction:
    """Pictures per second: 29.97 is 30000/1001, as all of film's rates that are cut short so.

    Args:
        asked: above 0; None for the usual 25.
    """
    rate = Fraction(USUAL_RATE if asked is None else asked).limit_denominator(1001)
    whole = math.ceil(rate)
    film = whole * _NTSC
    return film if rate != whole and abs(rate - film) < _NEAR else rate


def files_of(pattern: Path) -> list[tuple[int, Path]]:
    """Numbered files in the order of their numbers.

    Args:
        pattern: a path whose name has `%d` for a number, or `%05d` for one of five digits.

    Raises:
        SourceError: there is none, or the folder cannot be looked into.
    """
    named = numbered(str(pattern))
    if named is None:
        raise SourceError(f"{pattern} has no %d in its name that stands for numbers")
    before, digits, after = named.groups()
    wanted = re.compile(rf"{re.escape(before)}(\d+){re.escape(after)}", re.ASCII)
    with explained(pattern.parent):
        names = [(one, wanted.fullmatch(one.name)) for one in pattern.parent.iterdir()]
    alike = [(match[1], path) for path, match in names if match is not None]
    found = sorted(
        (int(text), path)
        for text, path in alike
        if f"{int(text):0{digits or 1}d}" == text and path.is_file()
    )
    if not found:
        hint = "check the name"
        if alike:
            text = min(one for one, _ in alike)
            width = f"%0{len(text)}d" if len(text) > 1 else "%d"
            hint = f"there are such as {before}{text}{after}: {before}{width}{after}"
        raise SourceError(f"there is no picture {pattern}; {hint}")
    return found


def as_film(target: str) -> str:
    """A folder of numbered pictures, of which a rate is said, as their pattern.

    Returns:
        Anything else as it is, and so a folder that has films in it.

    Raises:
        SourceError: the folder cannot be looked into.
        UsageError: there are several films of numbered pictures in it.
    """
    folder = Path(target)
    if not target or not folder.is_dir() or files_in(folder, VIDEO_ENDINGS).taken:
        return target
    return str(pattern_in(folder) or target)


def pattern_in(folder: Path) -> Path | None:
    """The pattern of a folder's pictures, as `files_of` takes it; None where it has none.

    Raises:
        SourceError: it cannot be looked into.
        UsageError: there are several films in it.
    """
    widths: dict[tuple[str, str], int] = {}
    for path in files_in(folder, PICTURE_ENDINGS).taken:
        named = _LAST_NUMBER.fullmatch(path.name)
        if named is not None and not is_result(path.name):
            key = (named[1], named[3])
            widths[key] = min(len(named[2]), widths.get(key, len(named[2])))
    patterns = [
        folder / f"{before}%{f'0{width}' if width > 1 else ''}d{after}"
        for (before, after), width in sorted(widths.items())
    ]
    if len(patterns) > 1:
        shown = [str(one) for one in patterns[:_NAMED]]
        more = ", …" if len(patterns) > _NAMED else ""
        raise UsageError(
            f"the folder {folder} has several films of numbered pictures; name one: "
            f"{', '.join(shown)}{more}"
        )
    return patterns[0] if patterns else None


def step_of(numbers: Sequence[int]) -> int:
    """What all differences of rising numbers are multiples of; 1 of a single one."""
    return math.gcd(*(after - before for before, after in pairwise(numbers))) or 1


def missing(numbers: Sequence[int], step: int) -> list[str]:
    """What is missing among numbers, in a sentence, and that they go by a step, in another."""
    said = []
    if step > 1:
        said.append(
            f"the numbers go by {step} ({numbers[0]}, {numbers[1]}, …), each for the time of one "
            "picture"
        )
    gaps = [
        (before + step, after - step)
        for before, after in pairwise(numbers)
        if after - before > step
    ]
    if gaps:
        lost = sum((last - first) // step + 1 for first, last in gaps)
        named = [str(a) if a == b else f"{a} to {b}" for a, b in gaps[:_NAMED]]
        which = joined(named) if len(gaps) <= _NAMED else f"{', '.join(named)}, …"
        said.append(
            f"{counted(lost, 'number is', 'numbers are')} missing ({which}); the picture before "
            "stands for as long"
        )
    return said
