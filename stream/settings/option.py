"""What an option is, and how texts become values: `stream.settings.options` is made of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, TypeAlias, TypedDict, TypeVar, Unpack

from stream.errors import UsageError
from stream.wording.names import refuse_unknown_words
from stream.wording.words import names_in

T = TypeVar("T")

Every = int | Literal["auto"] | None
"""Inference on every Nth frame; `auto`; None is what suits the source."""

Value: TypeAlias = "bool | float | str | Path | tuple[str, ...] | tuple[int, int] | None"
"""What an option's value may be; whole numbers count as floats, as type checkers have it."""


LONGEST = 60
"""Characters of a wrong value that an error repeats, and digits of a number that is meant."""

LATEST = 1e9
"""Seconds, some thirty years: no footage has such a time, and containers count in finer ticks."""


@dataclass(frozen=True, slots=True)
class Option:
    """How a field is asked for.

    Attributes:
        help: what it does, one or two sentences, with its unit.
        default: what holds where nothing is said, in words, for defaults that are None.
        metavar: what stands for its value in the help.
        low: the least value.
        high: the largest value.
        choices: the values there are; none where any goes.
        parse: from the text of a command line or a file to the value; raises UsageError.
        short: a flag of one letter.
        flag: the long flag, where it is not the field's name with dashes.
        many: whether the flag may be given several times, a text each; a list elsewhere.
        on: for what true stands in a file, where yes and no were all that could be said once.
        off: for what `--no-NAME` stands, and false in a file.
        file: whether a text may be a file's name, for those who read it as it stands; a value that
            is a `Path` always is one, and names of models are read with `~` whoever says them.
    """

    help: str
    default: str = ""
    metavar: str | None = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    parse: Callable[[str], Value] | None = None
    short: str | None = None
    flag: str | None = None
    many: bool = False
    on: str = ""
    off: str = ""
    file: bool = False


class _How(TypedDict, total=False):
    """What `Option` may be told besides its help and its default in words."""

    metavar: str
    low: float
    high: float
    choices: tuple[str, ...]
    parse: Callable[[str], Value]
    short: str
    flag: str
    many: bool
    on: str
    off: str
    file: bool


def option(default: T, help: str, said: str = "", **how: Unpack[_How]) -> T:
    """A dataclass field that is an option; `how` goes to `Option`, `said` to its `default`."""
    return field(default=default, metadata={"option": Option(help, said, **how)})


def options_of(group: type) -> dict[str, Option]:
    """The options of a group by field name, in order."""
    return {one.name: one.metadata["option"] for one in fields(group) if "option" in one.metadata}


def repeated(text: str) -> str:
    """A wrong text as an error repeats it, in quotes, cut where it is long."""
    return repr(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")


def parse_every(text: str) -> Every:
    """`auto`, or a number from 1 on.

    Raises:
        UsageError: it is neither.
    """
    if text == "auto":
        return "auto"
    if text.isdecimal() and len(text) <= LONGEST and int(text) >= 1:
        return int(text)
    raise UsageError(f"it is a number from 1 on, or auto, not {repeated(text)}")


def parse_file(text: str) -> Path:
    """A file's name, in which `{name}` may stand.

    Raises:
        UsageError: it is none, or another word in braces stands in it.
    """
    if not text or "\0" in text:
        raise UsageError("it is empty" if not text else "a name cannot hold a zero byte")
    refuse_unknown_words(text)
    return Path(text)


def parse_names(text: str) -> tuple[str, ...]:
    """`person,car` as its parts; one that holds a comma is in quotes: `person,'dog, big'`."""
    return names_in(text)


def parse_select(text: str) -> str:
    """`all`, `largest`, a number from 1 on, or identities such as `id3,#7`.

    Raises:
        UsageError: it is none of these.
    """
    words = [word.strip().lower() for word in text.split(",")]
    if words in (["all"], ["largest"]):
        return words[0]
    if len(words) == 1 and words[0].isdecimal() and 0 < int(words[0][:20]) <= 10**6:
        return str(int(words[0]))
    if all(re.fullmatch(r"(?:#|id)[0-9]{1,18}", word) for word in words):
        return ",".join(words)
    raise UsageError(
        "it is all, largest, a number from 1 on (so many of the largest), or identities such "
        f"as id3,id7, not {repeated(text)}"
    )


def parse_size(text: str) -> tuple[int, int]:
    """`1280x720` as width and height in pixels.

    Raises:
        UsageError: it is not a size.
    """
    width, _, height = text.lower().replace("×", "x").partition("x")
    numbers = width.isdecimal() and height.isdecimal() and len(text) <= LONGEST
    if not numbers or min(int(width), int(height)) < 10:
        raise UsageError(f"it is WIDTHxHEIGHT in pixels, such as 1280x720, not {repeated(text)}")
    return int(width), int(height)


_SPELT = re.compile(r"(?:([0-9]+)h)?(?:([0-9]+)m(?:in)?)?(?:([0-9]+(?:[.,][0-9]+)?)s(?:ec)?)?")


def _meant_time(text: str) -> str:
    """What to say of a time such as `1m30s` or `1:30,5`; "" where it is none."""
    plain = text.strip().lower().replace(" ", "")
    if len(plain) > LONGEST:
        return ""
    found = _SPELT.fullmatch(plain)
    if found is not None and plain:
        hours, minutes = int(found[1] or 0), int(found[2] or 0)
        seconds = (found[3] or "0").replace(",", ".")
        if not hours and not minutes:
            return f"; did you mean {seconds}?"
        if minutes < 60 and float(seconds) < 60:
            whole, dot, rest = seconds.partition(".")
            minutes_said = f"{hours}:{minutes:02d}" if hours else str(minutes)
            return f"; did you mean {minutes_said}:{int(whole):02d}{dot}{rest}?"
    if re.fullmatch(r"(?:[0-9]+:){0,2}[0-9]+,[0-9]+", plain):
        return f"; did you mean {plain.replace(',', '.')}?"
    return ""


def parse_time(text: str) -> float:
    """A time in seconds, less than `LATEST`, from `90`, `90.5`, `1:30` or `0:01:30`.

    Raises:
        UsageError: it is not a time.
    """
    parts = text.strip().split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    proper = 1 <= len(numbers) <= 3 and all(0 <= number < LATEST for number in numbers)
    if not proper or any(number >= 60 for number in numbers[1:]):
        raise UsageError(
            "it is seconds, M:SS or H:MM:SS, such as 90 or 1:30, not "
            f"{repeated(text)}{_meant_time(text)}"
        )
    seconds = 0.0
    for number in numbers:
        seconds = 60 * seconds + number
    return seconds
