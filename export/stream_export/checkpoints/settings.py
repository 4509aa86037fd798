"""Configuration files of Detectron, Detectron2 and their descendants: the YAML that they use.

Nested mappings and lists by indentation, scalars, and flow lists and tuples in Python's spelling
(yacs evaluates values as Python literals). Anchors, tags and multi-line strings have no place in
these files and are refused.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stream.errors import ModelError, UsageError

_WORDS = {"true": True, "false": False, "null": None, "~": None, "none": None, "": None}


class Settings:
    """A configuration, asked by dotted names."""

    def __init__(self, values: dict[str, Any] | None = None, source: str = "") -> None:
        """Takes nested dictionaries; `source` is named in messages."""
        self.values = values or {}
        self.source = source

    def get(self, name: str, default: Any = None) -> Any:
        """The value under a dotted name such as `MODEL.RPN.NMS_THRESH`, or the default."""
        found: Any = self.values
        for part in name.split("."):
            if not isinstance(found, dict) or part not in found:
                return default
            found = found[part]
        return default if found is None else found

    def number(self, name: str, default: float) -> float:
        """A number.

        Raises:
            UsageError: the file says something else.
        """
        value = self.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(name, value, "a number")
        return value

    def numbers(self, name: str, default: tuple[float, ...]) -> tuple[float, ...]:
        """A list of numbers.

        Raises:
            UsageError: the file says something else.
        """
        value = self.get(name, default)
        if not isinstance(value, list | tuple) or not all(
            isinstance(entry, int | float) for entry in value
        ):
            raise self._wrong(name, value, "a list of numbers")
        return tuple(float(entry) for entry in value)

    def _wrong(self, name: str, value: Any, wanted: str) -> UsageError:
        return UsageError(f"{self.source}: {name} is {value!r}, {wanted} is needed")


def read_settings(path: Path) -> Settings:
    """Reads a configuration file, and the one that it names as its base where that lies beside it.

    Raises:
        ModelError: the file cannot be read.
        UsageError: it is no configuration.
    """
    return Settings(_read(path, depth=0), str(path))


def parse_settings(text: str, source: str) -> Settings:
    """Reads a configuration from text; `source` is named in messages.

    Raises:
        UsageError: it is no configuration.
    """
    lines = list(_lines(text, source))
    try:
        value, rest = _block(lines, 0, lines[0][0] if lines else 0)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{source}: it is no configuration that can be read ({error})") from error
    if rest != len(lines) or not isinstance(value, dict):
        raise UsageError(f"{source}: it is no configuration: line {lines[rest - 1][2]}")
    return Settings(value, source)


def _read(path: Path, depth: int) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: the configuration cannot be read ({error})") from error
    values = parse_settings(text, str(path)).values
    base = values.pop("_BASE_", None)
    if isinstance(base, str) and depth < 8 and (path.parent / base).is_file():
        return _merged(_read(path.parent / base, depth + 1), values)
    return values


def _merged(base: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(value, dict) and isinstance(old, dict)
        merged[key] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return merged


_Line = tuple[int, str, int]
"""Indentation, what is written, line number."""


def _lines(text: str, source: str) -> Iterator[_Line]:
    """The lines that say something; a flow list may go over several."""
    held, start, indent = "", 0, 0
    for number, raw in enumerate(text.splitlines(), 1):
        bare = _uncommented(raw)
        if not bare.strip():
            continue
        if "\t" in bare[: len(bare) - len(bare.lstrip())]:
            raise UsageError(f"{source}: line {number} is indented by a tab")
        if not held:
            start, indent = number, len(bare) - len(bare.lstrip())
        held = f"{held} {bare.strip()}".strip()
        if _depth(held) <= 0:
            yield indent, held, start
            held = ""
    if held:
        raise UsageError(f"{source}: the bracket opened in line {start} is never closed")


def _uncommented(line: str) -> str:
    quote = ""
    for index, char in enumerate(line):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "#" and (index == 0 or line[index - 1] in " \t"):
            return line[:index].rstrip()
    return line.rstrip()


def _depth(text: str) -> int:
    return sum(text.count(char) for char in "([{") - sum(text.count(char) for char in ")]}")


def _block(lines: list[_Line], at: int, indent: int) -> tuple[Any, int]:
    """The mapping or list that begins at a line, and the line behind it."""
    if at < len(lines) and (lines[at][1].startswith("- ") or lines[at][1] == "-"):
        return _list(lines, at, indent)
    found: dict[str, Any] = {}
    while at < len(lines) and lines[at][0] == indent and not lines[at][1].startswith("- "):
        _, text, number = lines[at]
        key, colon, value = text.partition(":")
        if not colon or (value and not value.startswith(" ")):
            raise ValueError(f"line {number}: {text[:40]!r}")
        key = key.strip().strip("'\"")
        at += 1
        if value.strip():
            found[key] = _scalar(value.strip(), number)
        elif at < len(lines) and (
            lines[at][0] > indent or (lines[at][0] == indent and lines[at][1].startswith("-"))
        ):
            found[key], at = _block(lines, at, lines[at][0])
        else:
            found[key] = None
    return found, at


def _list(lines: list[_Line], at: int, indent: int) -> tuple[list[Any], int]:
    found: list[Any] = []
    while at < len(lines) and lines[at][0] == indent and lines[at][1].startswith("-"):
        _, text, number = lines[at]
        inner = text[1:].lstrip()
        if inner.startswith("- "):
            # A list within a list: what follows the dash is its first line.
            deeper = indent + len(text) - len(inner)
            rest = [(deeper, inner, number), *lines[at + 1 :]]
            value, used = _list(rest, 0, deeper)
            at += used
        else:
            value, at = _scalar(inner, number), at + 1
        found.append(value)
    return found, at


def _scalar(text: str, number: int) -> Any:
    if text[0:1] in ("&", "*", "|", ">"):
        raise ValueError(f"line {number}: {text[:40]!r}")
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError):
        return text
