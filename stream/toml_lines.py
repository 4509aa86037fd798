"""Where in a TOML text a value stands, which the reader of the standard library does not tell."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence

from stream.types import TOML

Place = tuple[str | int, ...]
"""The way to a value: table names, keys, places in lists."""


def line_of(text: str, place: Place) -> int:
    """The line, from 1, in which the value at a place of a TOML document begins.

    The value is in the shortest beginning of the
    text that can be read and has it; it starts after the longest that can be read and has it not.
    """
    lines = text.split("\n")

    def has(count: int) -> bool:
        return at(_readable(lines, count)[1], place) is not None

    low, high = 0, len(lines)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if has(middle) else (middle, high)
    return min(_readable(lines, high - 1)[0] + 1, len(lines))


def _readable(lines: Sequence[str], count: int) -> tuple[int, Mapping[str, TOML]]:
    """The longest beginning of at most so many lines that is TOML, and what it says."""
    for end in range(count, 0, -1):
        try:
            return end, tomllib.loads("\n".join(lines[:end]))
        except (ValueError, RecursionError):
            continue
    return 0, {}


def at(document: Mapping[str, TOML], place: Place) -> TOML | None:
    """What is at a place of a document; None where nothing is."""
    found: TOML = dict(document)
    for part in place:
        if isinstance(part, int):
            if not isinstance(found, list) or part >= len(found):
                return None
            found = found[part]
        elif isinstance(found, dict) and part in found:
            found = found[part]
        else:
            return None
    return found
