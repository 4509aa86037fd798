"""What the standard library does not tell of TOML: where values stand, and what was meant."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence

from stream.addresses import clean
from stream.types import TOML

Place = tuple[str | int, ...]
"""The way to a value: table names, keys, places in lists."""


OWN_OUTPUTS = {
    "records": 'records are an [[output]] of their own: to = "found.ndjson"',
    "masks": 'masks are an [[output]] of their own: to = "masks/", look = "binary"',
}
"""Options of the command line that are no keys, and what stands for them."""


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


def not_toml(name: str, text: str, error: BaseException) -> str:
    """What to say of a text that is no TOML, with its line and what was probably meant.

    Args:
        name: of the file.
        text: what it holds.
        error: as Python's reader raised it.
    """
    if isinstance(error, RecursionError):
        return f"{name} is nested too deeply"
    message = str(error)
    found = re.search(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$", message)
    if found is None:
        return clean(f"{name} is no TOML: {message}")
    line = int(found[1] or text.rstrip("\n").count("\n") + 1)
    reason = message[: found.start()]
    sentence = f"{name}, line {line}: this is no TOML: {reason[:1].lower()}{reason[1:]}"
    meant = _meant((text.split("\n") + [""] * line)[line - 1])
    return clean(f"{sentence}; {meant}" if meant else sentence)


def _meant(line: str) -> str:
    """What is usually wrong with such a line."""
    key, equals, value = (part.strip() for part in line.partition("="))
    if not equals:
        return (
            "a key and its value are joined by =" if re.match(r"[\w-]+\s*:", line.strip()) else ""
        )
    if value.startswith('"') and "\\" in value:
        return f"a backslash within \"…\" needs another before it, or '…' around: {key} = '…'"
    if value.lower() in ("true", "false", "yes", "no", "on", "off"):
        return "true and false are written so"
    return f'a text stands in quotes: {key} = "…"' if value and value[0] not in "\"'[{" else ""
