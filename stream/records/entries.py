"""What every file of records is when it is read: a head, and an entry for each frame."""

from __future__ import annotations

import codecs
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import ClassVar, NoReturn, Self

from stream.errors import UsageError


class MisreadError(ValueError):
    """What a file says is not what belongs there; the message is the end of a sentence."""


LARGEST = 1_000_000
"""Pixels of a side at most."""
PLACE = "place"
"""The key of what says where in the file an object is."""
EDGES = "edges"
"""The key of outlines along the edges of pixels, as COCO's are; ours run through their middles."""
_MOST = 1 << 32
"""Pixels of a picture at most, several times as many as are decoded."""
_IN_QUOTES = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,3})?")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class About:
    """What a file of records says of itself.

    Attributes:
        source: the name of what it was made of; "" where it does not say.
        size: height and width of the pictures, where all have one.
        time_base: seconds per tick of its times, where it has ticks.
        classes: the names that there are, in the model's order.
        model: the model's name; "" where it does not say.
        start: seconds into the footage that are its time 0.
        threshold: which score objects were asked to have, 0..1; None where it does not say.
        tracker: the name of what followed them; "" where it does not say.
    """

    source: str = ""
    size: tuple[int, int] | None = None
    time_base: Fraction | None = None
    classes: tuple[str, ...] = ()
    model: str = ""
    start: float = 0.0
    threshold: float | None = None
    tracker: str = ""


@dataclass(slots=True)
class Entry:
    """A frame as the file has it.

    Attributes:
        place: where in the file, such as "line 7", for errors.
        index: of the frame, from 0.
        seconds: its presentation time.
        file: the name of the photo that it is of, perhaps with folders before it; "" where it is
            of none, or the file does not say.
        size: height and width of its picture, where the file says it of this frame.
        mask_threshold: above what its soft masks are the object.
        objects: as JSON has them.
        unsure: what may be there besides, likewise; None where the file does not say.
    """

    place: str
    index: int | None = None
    seconds: Fraction | None = None
    file: str = ""
    size: tuple[int, int] | None = None
    mask_threshold: float | None = None
    objects: Sequence[object] = field(default_factory=list)
    unsure: Sequence[object] | None = None


class RecordsFile(ABC):
    """A file of records that is read.

    Attributes:
        path: the file.
        about: what it says of itself.
        contradictory: how many entries so far say two times, of which the exact one counts.
    """

    endings: ClassVar[tuple[str, ...]] = ()
    tells_empty: ClassVar[bool] = True
    """Whether a frame in which nothing is has an entry too."""
    held: ClassVar[bool] = False
    """Whether all of it is in memory."""
    places: ClassVar[bool] = False
    """Whether each object says by `PLACE` where in the file it is; else its entry does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.about = About()
        self.contradictory = 0

    @abstractmethod
    def entries(self) -> Iterator[Entry]:
        """Its frames, in order; once.

        Raises:
            UsageError: it says what is not understood.
        """

    def close(self) -> None:
        """Lets go of the file; safe to call twice."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def place_of(self, entry: Entry, given: Mapping[str, object]) -> str:
        """Where in the file one of an entry's objects is, for errors."""
        return str(given[PLACE]) if self.places else entry.place

    def refuse(self, place: str, sentence: str) -> NoReturn:
        """Says what is wrong, and where.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{self.path}, {place}: {sentence}")

    def unreadable(self, error: OSError) -> UsageError:
        """The sentence for a file that cannot be read."""
        return UsageError(f"the records {self.path} cannot be read: {error.strerror or error}")


def parse_json(text: str) -> object:
    """A value of JSON; numbers are finite.

    Raises:
        MisreadError: it is none; the message says why.
    """
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError as error:
        raise MisreadError("it is nested too deeply") from error


def encoding_of(begin: bytes) -> str:
    """In what a file that begins so is written.

    UTF-8, with a mark or without, or UTF-16 with one, as Windows PowerShell's `>` writes it.
    """
    return "utf-16" if begin.startswith(_UTF16) else "utf-8-sig"


def _no_number(name: str) -> NoReturn:
    raise MisreadError(f"{name} is no number")


def number(value: object, what: str, low: float = -1e9, high: float = 1e9) -> float:
    """A finite number within bounds; one in quotes too, as what came by way of a table has them.

    Raises:
        MisreadError: it is none.
    """
    given = _unquoted(value)
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise MisreadError(f"{what} is a number, not {_shown(value)}")
    if not low <= given <= high:
        raise MisreadError(f"{what} is {low:g} to {high:g}, not {_shown(value)}")
    return float(given)


def whole(value: object, what: str, low: int = 0, high: int = 2**62) -> int:
    """A whole number within bounds; 3.0 is one, and likewise one in quotes.

    Raises:
        MisreadError: it is none.
    """
    given = _unquoted(value)
    if isinstance(given, float) and given.is_integer():
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int):
        raise MisreadError(f"{what} is a whole number, not {_shown(value)}")
    if not low <= given <= high:
        raise MisreadError(f"{what} is {low} to {high}, not {_shown(value)}")
    return given


def _unquoted(value: object) -> object:
    if isinstance(value, str) and (found := _IN_QUOTES.fullmatch(value)):
        return int(value) if found[1] is None and found[2] is None else float(value)
    return value


def identity(value: object) -> int | None:
    """An object's identity, or None where it has none.

    Raises:
        MisreadError: what stands there is none.
    """
    return None if value is None else whole(value, "track")


def text(value: object, what: str) -> str:
    """A text.

    Raises:
        MisreadError: it is none.
    """
    if not isinstance(value, str):
        raise MisreadError(f"{what} is a text, not {_shown(value)}")
    return value


def size_of(value: object, what: str = "size") -> tuple[int, int]:
    """Height and width from a list of the two.

    Raises:
        MisreadError: it is none.
    """
    if not isinstance(value, list) or len(value) != 2:
        raise MisreadError(f"{what} is [height, width], not {_shown(value)}")
    height, width = (whole(side, what, 1, LARGEST) for side in value)
    if height * width > _MOST:
        raise MisreadError(f"{what} is of more than {_MOST} pixels: {_shown(value)}")
    return height, width


def numbers(value: object, what: str, count: int | None = None) -> list[float]:
    """A list of finite numbers.

    Args:
        value: what was read.
        what: it is called.
        count: how many they must be.

    Raises:
        MisreadError: it is none.
    """
    if not isinstance(value, list) or (count is not None and len(value) != count):
        many = "numbers" if count is None else f"{count} numbers"
        raise MisreadError(f"{what} is a list of {many}, not {_shown(value)}")
    return [number(one, f"number {place} of {what}") for place, one in enumerate(value, start=1)]


def mapping(value: object, what: str) -> Mapping[str, object]:
    """An object of JSON.

    Raises:
        MisreadError: it is none.
    """
    if not isinstance(value, dict):
        raise MisreadError(f"{what} is an object in braces, not {_shown(value)}")
    return value


def listed(value: object, what: str) -> list[object]:
    """A list of JSON.

    Raises:
        MisreadError: it is none.
    """
    if not isinstance(value, list):
        raise MisreadError(f"{what} is a list, not {_shown(value)}")
    return value


def threshold_in(head: Mapping[str, object]) -> float | None:
    """Which score objects were asked to have, by the options in a file's head.

    Raises:
        MisreadError: what stands there is none.
    """
    options = head.get("options")
    asked = options.get("threshold") if isinstance(options, dict) else None
    return None if asked is None else number(asked, "threshold", 0, 1)


def tracker_in(head: Mapping[str, object]) -> str:
    """The name of what followed the objects, likewise; "" where nothing says it.

    Raises:
        MisreadError: what stands there is no name.
    """
    options = head.get("options")
    return text(options.get("tracker", ""), "tracker") if isinstance(options, dict) else ""


def _shown(value: object) -> str:
    said = json.dumps(value, ensure_ascii=False, default=str)
    return said if len(said) <= 40 else f"{said[:40]}…"
