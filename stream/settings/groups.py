"""Groups of options as data: which fields there are, and values read from text, TOML or Python.

A group is a dataclass of `options`. Its fields are options, or groups in turn, whose fields
then count as its own. The command line and the configuration file both go through here, so that
both take the same values and refuse the same with the same sentence.
"""

from __future__ import annotations

import math
import re
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from datetime import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from stream.errors import UsageError
from stream.settings.likeness import nearest
from stream.settings.option import LONGEST, Option, Value

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One option of a group.

    Attributes:
        name: of the field.
        option: how it is asked for.
        hint: the type of its value.
        default: what holds where nothing is said.
        group: the dataclass that the field belongs to.
    """

    name: str
    option: Option
    hint: object
    default: Value
    group: type

    @property
    def flag(self) -> str:
        """The long flag of the command line."""
        return self.option.flag or f"--{self.name.replace('_', '-')}"

    @property
    def kind(self) -> object:
        """The type of its value where it has one: the hint without None."""
        return _kind(self.hint)

    @property
    def file(self) -> bool:
        """Whether its value may be a file's name."""
        return self.option.file or self.kind is Path

    @property
    def said_default(self) -> str:
        """The default in words; "" where nobody said it."""
        if self.option.default:
            return self.option.default
        if self.default is None:
            return ""
        if isinstance(self.default, bool):
            return "on" if self.default else "off"
        if isinstance(self.default, float):
            return f"{self.default:g}"
        if isinstance(self.default, tuple):
            return ",".join(map(str, self.default))
        return str(self.default)


def is_group(hint: object) -> bool:
    """Whether this is a dataclass of options, or of groups of them."""
    return isinstance(hint, type) and is_dataclass(hint) and bool(leaves(hint))


@cache
def _hints(group: type) -> dict[str, Any]:
    """The types of a group's fields, whose annotations are texts, compiled anew at each look."""
    return get_type_hints(group)


@cache
def leaves(group: type) -> dict[str, Leaf]:
    """The options of a group and of the groups in it, by name, in order.

    Raises:
        TypeError: two have one name; that is a fault of the program.
    """
    hints = _hints(group)
    found: dict[str, Leaf] = {}
    for field in fields(group):
        hint = hints[field.name]
        inner: dict[str, Leaf] = {}
        if "option" in field.metadata:
            default = None if field.default is MISSING else field.default
            option = field.metadata["option"]
            inner = {field.name: Leaf(field.name, option, hint, default, group)}
        elif isinstance(hint, type) and is_dataclass(hint):
            inner = leaves(hint)
        twice = found.keys() & inner.keys()
        if twice:
            raise TypeError(f"{group.__name__} has the option {min(twice)!r} twice")
        found |= inner
    return found


def anchored(group: T, folder: Path) -> T:
    """The same options where files have names that hold in any folder, for other processes.

    Args:
        group: a dataclass of options or of groups, such as a whole plan.
        folder: from where its relative names are meant.
    """
    if isinstance(group, tuple):
        return cast("T", tuple(anchored(one, folder) for one in group))
    if not is_dataclass(group) or isinstance(group, type):
        return group
    changed: dict[str, object] = {}
    for one in fields(group):
        value = getattr(group, one.name)
        if "option" not in one.metadata:
            changed[one.name] = anchored(value, folder)
        elif isinstance(value, Path):
            changed[one.name] = folder / value
        elif isinstance(value, str) and Path(value).suffix and (folder / value).is_file():
            # A model's or a background's; what names a model of the catalogue has no ending.
            changed[one.name] = str(folder / value)
    return replace(group, **changed)


def build(group: type[T], values: Mapping[str, Value]) -> T:
    """A group, and the groups in it, with these values, defaults for the rest.

    Args:
        group: the dataclass.
        values: by the names of `leaves`; others are ignored.

    Raises:
        UsageError: values do not go together; the sentence is the group's own.
    """
    kind: type = group
    hints = _hints(kind)
    given: dict[str, object] = {}
    for field in fields(group):  # type: ignore[arg-type]  # it is a dataclass
        hint = hints[field.name]
        if "option" in field.metadata:
            if field.name in values:
                given[field.name] = values[field.name]
        elif isinstance(hint, type) and is_dataclass(hint):
            given[field.name] = build(hint, values)
    return group(**given)


def values_of(group: DataclassInstance) -> dict[str, Value]:
    """The values of a group, and of the groups in it, by the names of `leaves`."""
    found: dict[str, Value] = {}
    for field in fields(group):
        value = getattr(group, field.name)
        if "option" in field.metadata:
            found[field.name] = value
        elif is_dataclass(value) and not isinstance(value, type):
            found |= values_of(value)
    return found


def changed(group: DataclassInstance) -> dict[str, Value]:
    """The values of a group that are not the defaults."""
    kind: type = type(group)
    known = leaves(kind)
    return {name: value for name, value in values_of(group).items() if value != known[name].default}


def read(leaf: Leaf, given: object, name: str) -> Value:
    """An option's value from what was given for it.

    Args:
        leaf: the option.
        given: the command line's text, or a value of TOML.
        name: what errors call it, such as `--threshold`.

    Raises:
        UsageError: it is no such value; one sentence that begins with the name.
    """
    if any(isinstance(one, int) and abs(one) >= 10**LONGEST for one in _parts(given)):
        raise UsageError(f"{name}: no number is meant that has more than {LONGEST} digits")
    try:
        value = _convert(leaf, given)
    except UsageError as error:
        sentence = str(error)
        if sentence.startswith(name):
            raise
        raise UsageError(f"{name}: {sentence}{_meant_number(leaf, given)}") from error
    option = leaf.option
    if option.choices and value not in option.choices:
        near = nearest(str(value), option.choices)
        raise UsageError(
            f"{name} is one of {', '.join(option.choices)}, not {shown(given)}"
            + (f"; did you mean {near}?" if near else "")
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        too_low = option.low is not None and value < option.low
        too_high = option.high is not None and value > option.high
        if too_low or too_high:
            raise UsageError(
                f"{name} is {range_of(option)}, not {shown(given)}{_meant_number(leaf, given)}"
            )
    return value


_WITH_UNIT = re.compile(
    r"([0-9]+(?:[.,][0-9]+)?)(?:/0*([1-9][0-9]*))? *(%|fps|px|pixels?|s|sec|seconds?)?"
)

_A_PERCENTAGE = 10
"""From here on a share that is written without a sign is one in percent rather than a slip."""


def _meant_number(leaf: Leaf, given: object) -> str:
    """What to say of a number with a comma, a unit, in percent or as a fraction; "" of others."""
    found = _WITH_UNIT.fullmatch(str(given).strip())
    # So many seconds are no number of frames.
    if found is None or leaf.kind not in (int, float) or leaf.option.parse is not None:
        return ""
    number, divisor, unit = found.groups("")
    if len(number) > LONGEST or len(divisor) > LONGEST:
        return ""
    if leaf.kind is int and unit.startswith("s"):
        return ""
    value = float(number.replace(",", ".")) / float(divisor or 1)
    value /= 100 if leaf.option.high == 1 and (unit == "%" or value >= _A_PERCENTAGE) else 1
    low, high = leaf.option.low, leaf.option.high
    fits = (low is None or value >= low) and (high is None or value <= high)
    whole = leaf.kind is float or value.is_integer()
    # Of 30000/1001 all digits are wanted: six are another rate.
    return f"; did you mean {value:{'.10g' if divisor else 'g'}}?" if fits and whole else ""


def range_of(option: Option) -> str:
    """The bounds of an option in words, such as `0 to 1`; "" where there are none."""
    low, high = (
        "" if one is None else str(one) if isinstance(one, int) else f"{one:g}"
        for one in (option.low, option.high)
    )
    if low and high:
        return f"{low} to {high}"
    return f"at least {low}" if low else f"at most {high}" if high else ""


def unknown(what: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that is none of those there are.

    Args:
        what: is named, such as "tracker".
        name: as it was written.
        known: the names there are; the one that was probably meant is said, else all are.
    """
    known = list(known)
    near = nearest(name, known)
    hint = f"did you mean {near}?" if near else f"there are {', '.join(known)}"
    return UsageError(f"there is no {what} {name!r}; {hint}")


def shown(given: object) -> str:
    """A wrong value as an error repeats it, cut where it is long."""
    text = str(given) if isinstance(given, int | float | time) else repr(given)
    if isinstance(given, bool):
        text = text.lower()
    text = " ".join(text.split())  # an array's rows are lines
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _parts(given: object) -> Sequence[object]:
    return given if isinstance(given, list | tuple) else (given,)


def _kind(hint: object) -> object:
    if get_origin(hint) in (Union, types.UnionType):
        kinds = [one for one in get_args(hint) if one is not type(None)]
        return kinds[0] if len(kinds) == 1 else object
    return hint


def _convert(leaf: Leaf, given: object) -> Value:
    kind, parse = leaf.kind, leaf.option.parse
    if isinstance(given, bool) and leaf.option.off:
        return leaf.option.on if given else leaf.option.off
    if kind is bool:
        if isinstance(given, bool):
            return given
        raise UsageError(f"it is true or false, not {shown(given)}")
    if isinstance(given, bool | dict):
        raise UsageError(f"this is no value for it: {shown(given)}")
    if get_origin(kind) is tuple:
        return _many(leaf, given)
    if isinstance(given, list):
        raise UsageError(f"it is one value, not a list: {shown(given)}")
    if parse is not None:
        # TOML's own numbers and times go through the words' parser too: it knows the bounds.
        return parse(given if isinstance(given, str) else str(given))
    if kind in (int, float):
        return _number(given, whole=kind is int)
    if not isinstance(given, str):
        raise UsageError(f"it is a text, not {shown(given)}")
    if not given or "\0" in given:
        raise UsageError("it is empty" if not given else "a name cannot hold a zero byte")
    return Path(given) if kind is Path else given


def _many(leaf: Leaf, given: object) -> Value:
    parts = get_args(leaf.kind)
    parse = leaf.option.parse
    if isinstance(given, str) and parse is not None:
        return parse(given)
    if isinstance(given, str) and leaf.option.many:
        given = [given]
    if not isinstance(given, list):
        raise UsageError(f"it is a list, not {shown(given)}")
    if parts == (int, int):
        # As in 1280x720: what is too small is refused by the words' parser.
        if len(given) != len(parts) or any(type(one) is not int for one in given):
            raise UsageError(f"it is two whole numbers, not {shown(given)}")
        return parse("x".join(map(str, given))) if parse is not None else tuple(given)
    if not all(isinstance(one, str) and one.strip() for one in given):
        raise UsageError(f"it is a list of texts, not {shown(given)}")
    return tuple(given)


def _number(given: object, *, whole: bool) -> int | float:
    what = "a whole number" if whole else "a number"
    if isinstance(given, str):
        form = r"[+-]?[0-9]+" if whole else r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
        if re.fullmatch(form, given.strip()) is None or len(given) > LONGEST:
            raise UsageError(f"it is {what}, not {shown(given)}")
        value: int | float = int(given) if whole else float(given)
    elif isinstance(given, int) or (isinstance(given, float) and not whole):
        value = given if whole else float(given)
    else:
        raise UsageError(f"it is {what}, not {shown(given)}")
    if not math.isfinite(value):
        raise UsageError(f"it is {what}, not {shown(given)}")
    return value
