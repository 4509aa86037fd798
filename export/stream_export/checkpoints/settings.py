"""Configuration files of Detectron2 and its descendants: YAML, asked by dotted names.

As yacs reads them: a text that is a Python literal is that literal, so that `(210000, 250000)` is
a tuple. Tags that would build objects are read as the plain data behind them, so that nothing in a
file is executed.
"""

from __future__ import annotations

import ast
import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from stream.errors import ModelError, UsageError
from stream.wording.words import counted

_MOST = 1_000_000
"""Characters of a configuration; a longer file is none."""
_DEEPEST = 40
_LISTED = 5000
"""Settings that are listed at most: aliases make a short file as long as one likes."""

_BASES = r"Base-RCNN-(FPN|C4|DilatedC5)\.ya?ml"
"""The published configurations that others build on; they say what the converter takes for granted
anyway."""


Setting: TypeAlias = Any
"""A value of a configuration: a number, a text, a list, nested settings; whoever asks checks it."""


class Settings:
    """A configuration, asked by dotted names; it remembers what was asked for.

    Attributes:
        used: names, as the file has them, of the values that were taken.
        told: names that values were asked by, and found.
    """

    def __init__(
        self,
        values: dict[str, Setting] | None = None,
        source: str = "",
        aliases: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Sets up.

        Args:
            values: nested dictionaries.
            source: named in messages.
            aliases: other names of each setting, for configurations of another style.
        """
        self.values = values or {}
        self.source = source
        self.aliases = aliases or {}
        self.used: set[str] = set()
        self.told: set[str] = set()

    def get(self, name: str, default: Setting = None) -> Setting:
        """The value under a dotted name such as `MODEL.RPN.NMS_THRESH`, or the default."""
        for one in (name, *self.aliases.get(name, ())):
            found = self._find(one)
            if found is not None:
                self.used.add(one)
                self.told.add(name)
                return found
        return default

    def _find(self, name: str) -> Setting:
        found: Setting = self.values
        for part in name.split("."):
            if isinstance(found, list | tuple) and part.isdigit() and int(part) < len(found):
                found = found[int(part)]
            elif isinstance(found, dict) and part in found:
                found = found[part]
            else:
                return None
        return found

    def number(self, name: str, default: float) -> float:
        """A number.

        Raises:
            UsageError: the file says something else.
        """
        value = self.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise self._wrong(name, value, "a number")
        return value

    def whole(self, name: str, default: int, least: int = 1) -> int:
        """A whole number of at least `least`.

        Raises:
            UsageError: the file says something else.
        """
        value = self.number(name, default)
        if math.isinf(value) or value != int(value) or value < least:
            raise self._wrong(name, value, f"a whole number from {least} on")
        return int(value)

    def numbers(self, name: str, default: tuple[float, ...]) -> tuple[float, ...]:
        """A list of numbers.

        Raises:
            UsageError: the file says something else.
        """
        value = self.get(name, default)
        if not isinstance(value, list | tuple) or not all(
            isinstance(entry, int | float) and not isinstance(entry, bool) for entry in value
        ):
            raise self._wrong(name, value, "a list of numbers")
        return tuple(float(entry) for entry in value)

    def above(self, assignments: Iterable[str]) -> Settings:
        """These settings with some changed.

        Args:
            assignments: `NAME=VALUE` each, with dotted names and values as yacs spells them.

        Raises:
            UsageError: one is not spelt so.
        """
        values = self.values
        for text in assignments:
            name, equals, value = text.partition("=")
            parts = name.strip().split(".")
            if not equals or not all(part.isidentifier() for part in parts):
                raise UsageError(
                    f"--set {text!r}: write NAME=VALUE, such as INPUT.MIN_SIZE_TEST=640"
                )
            nested: Setting = _literal(value.strip())
            for part in reversed(parts):
                nested = {part: nested}
            values = _merged(values, nested)
        return Settings(values, self.source or "--set", self.aliases)

    def names(self) -> list[str]:
        """The dotted names of all values."""
        return list(itertools.islice(_leaves(self.values), _LISTED))

    def said(self) -> str:
        """What was used of a file, for the user.

        Raises:
            UsageError: nothing was, so that it cannot be the model's configuration.
        """
        every = self.names()
        if not self.used:
            shown = ", ".join(every[:4]) + (", ..." if len(every) > 4 else "")
            raise UsageError(
                f"{self.source}: none of its {counted(len(every), 'setting')} is one that this "
                f"converter knows ({shown or 'it is empty'}); is it the model's configuration?"
            )
        shown = ", ".join(f"{name} = {str(self._find(name))[:60]}" for name in sorted(self.used))
        return f"{len(self.used)} of {counted(len(every), 'setting')} of {self.source}: {shown}"

    def refuse_unknown(self, assignments: Iterable[str]) -> None:
        """Makes sure that what was set by hand was used.

        Raises:
            UsageError: one was not.
        """
        for text in assignments:
            name = text.partition("=")[0].strip()
            if not any(one == name or one.startswith(f"{name}.") for one in self.used):
                raise UsageError(f"--set {text!r}: this converter knows no setting {name!r}")

    def _wrong(self, name: str, value: Setting, wanted: str) -> UsageError:
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
    from stream_export.registry import need_extra

    need_extra("yaml")
    import yaml

    if len(text) > _MOST:
        raise UsageError(f"{source}: it is too long for a configuration")
    try:
        value = _plain(yaml.load(text, _loader()), {}, 0)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark is not None else "it is not YAML"
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UsageError(
            f"{source}: it is no configuration that can be read ({where}: {problem})"
        ) from error
    except (ValueError, RecursionError, OverflowError) as error:
        raise UsageError(f"{source}: it is no configuration that can be read ({error})") from error
    if not isinstance(value, dict):
        raise UsageError(f"{source}: it is no configuration, it has no settings by name")
    return Settings(value, source)


def _loader() -> Setting:
    """YAML's safe loader, to which any tag is the plain data behind it."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def plain(loader: Setting, _suffix: str, node: Setting) -> Setting:
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        return loader.construct_scalar(node)

    Loader.add_multi_constructor("", plain)
    return Loader


def _plain(value: Setting, seen: dict[int, Setting], depth: int) -> Setting:
    """Mappings with text for keys, and texts that are Python literals as those."""
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    if id(value) in seen:
        return seen[id(value)]
    if isinstance(value, dict):
        found: Setting = {str(key): _plain(one, seen, depth + 1) for key, one in value.items()}
    elif isinstance(value, list | tuple):
        found = [_plain(one, seen, depth + 1) for one in value]
    else:
        return _literal(value) if isinstance(value, str) else value
    # What an alias repeats is walked once.
    seen[id(value)] = found
    return found


def _literal(text: str) -> Setting:
    """As yacs decodes a value: a Python literal where it is one, else the text."""
    words = {"true": True, "false": False, "null": None, "~": None, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    if len(text) > 10_000:
        return text
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _read(path: Path, depth: int) -> dict[str, Setting]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: the configuration cannot be read ({error})") from error
    values = parse_settings(text, str(path)).values
    base = values.pop("_BASE_", None)
    if isinstance(base, str) and depth < 8:
        above = path.parent / base
        if not above.is_file():
            if re.fullmatch(_BASES, above.name):
                return values
            raise UsageError(
                f"{path}: the configuration that it builds on, {base!r}, does not lie there; put "
                "it there, or give the config.yaml that training wrote"
            )
        return _merged(_read(above, depth + 1), values)
    return values


def _merged(base: dict[str, Setting], above: dict[str, Setting]) -> dict[str, Setting]:
    merged = dict(base)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(value, dict) and isinstance(old, dict)
        merged[key] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _leaves(values: Mapping[str, Setting], before: str = "") -> Iterable[str]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{before}{name}.")
        else:
            yield f"{before}{name}"
