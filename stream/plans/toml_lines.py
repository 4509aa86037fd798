"""What the standard library does not tell of TOML: where values stand, and what was meant."""

from __future__ import annotations

import codecs
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence

from stream.types import TOML
from stream.wording.addresses import clean

Place = tuple[str | int, ...]
"""The way to a value: table names, keys, places in lists."""

_CURLY = "\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"
"""Quotes as word processors write them."""

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


def place_in(document: Mapping[str, TOML], sentence: str) -> Place | None:
    """The place of the value that a sentence is about.

    One in quotes in it is meant first, then the one that comes first.

    Args:
        document: as it was read.
        sentence: says what is wrong with a value, which stands in it as it is in the document, or a
            part of it does that others are joined to with + or a comma.

    Returns:
        where it is; None where no value stands in the sentence.
    """
    found: list[tuple[bool, int, Place]] = []
    for place, value in _texts(dict(document), ()):
        for part in {value, *re.split(r"[+,]", value)}:
            plain = re.escape(part.strip())
            said = plain and re.search(rf"(?<![\w./-]){plain}(?![\w/-])", sentence, re.IGNORECASE)
            if said:
                quoted = sentence[: said.start()].endswith("'")
                found.append((not quoted, said.start(), place))
    return min(found, key=lambda one: one[:2])[2] if found else None


def _texts(value: TOML, place: Place) -> Iterator[tuple[Place, str]]:
    """All texts of a document, with their places, in order."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _texts(one, (*place, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _texts(one, (*place, index))


def not_utf_8(name: str, data: bytes, error: UnicodeDecodeError) -> str:
    """What to say of a file that is no text in UTF-8.

    Args:
        name: of the file.
        data: what it holds.
        error: as Python raised it.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        # Windows' older shells write it where output goes to a file.
        return f"{name} is in UTF-16; save it as UTF-8, in which configuration files are"
    if b"\0" in data:
        return f"{name} is no text; name a configuration file in TOML"
    line = data.count(b"\n", 0, error.start) + 1
    return (
        f"{name}, line {line}: this is no text in UTF-8, in which configuration files are; "
        "save it as UTF-8"
    )


_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)|%(\w+)%")


def unfilled(text: str) -> str:
    """What in a path or an address looks like a variable that somebody else fills in.

    A file may have a `$` in its name, and a password too: only names of variables that there are,
    or what stands in `${…}`, cannot be meant otherwise.

    Returns:
        it; "" where nothing does, or `./` at the beginning says that it is a file's name.
    """
    if text.startswith("./"):
        return ""
    for found in _VARIABLE.finditer(text):
        braced, *others = found.groups()
        if braced or any(name in os.environ for name in filter(None, others)):
            return found[0]
    return ""


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
        pair = re.match(r"[\w-]+\s*(:|\s[\"'\d\[{]|\s(true|false)$)", line.strip())
        return "a key and its value are joined by =" if pair else ""
    if value and value[0] in _CURLY:
        return f'quotes are straight ones, not {value[0]}: {key} = "…"'
    if value[:1] in ('"', "'") and value.count(value[0]) == 1:
        return f"a text ends with {value[0]} in the line in which it begins"
    if value.startswith('"') and "\\" in value:
        return f"a backslash within \"…\" needs another before it, or '…' around: {key} = '…'"
    if value.lower() in ("true", "false", "yes", "no", "on", "off"):
        return "true and false are written so"
    return f'a text stands in quotes: {key} = "…"' if value and value[0] not in "\"'[{" else ""


def shown(value: object) -> str:
    """A value in an error; of a long one the beginning."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"
