"""Numbers and names in sentences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

# What moves the cursor, colours or ends a line, and what turns the direction of letters round.
_UNSEEN = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]")
# In quotes up to a comma or the end, or whatever stands before those.
_NAME = re.compile(r"\s*(?:(['\"])((?:(?!\1).)*)\1\s*(?=,|$)|([^,]+))", re.DOTALL)


def counted(number: int, one: str, several: str = "") -> str:
    """How many of something, as words: "1 frame", "2 frames".

    Args:
        number: how many.
        one: what one of it is called.
        several: what several are called, where that is not `one` with an s.
    """
    return f"{number} {one if number == 1 else several or f'{one}s'}"


def minutes(seconds: float) -> str:
    """A span of time, as words: "1 minute", "0.5 minutes"."""
    return f"{seconds / 60:g} minute{'s' * (seconds != 60)}"


def listed(numbers: Sequence[int], one: str) -> str:
    """Things by their numbers, as words: "stream 1", "streams 1, 2 and 4".

    Args:
        numbers: at least one.
        one: what one of them is called.
    """
    return f"{one}{'s' if len(numbers) > 1 else ''} {joined(list(map(str, numbers)))}"


def joined(names: Sequence[str]) -> str:
    """Names in a sentence: "one", "one and another", "one, another and a third"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def called(name: str) -> str:
    """A class's name in a sentence, as it stands.

    One of nothing but spaces is in quotes, and so is one with a comma: names are told with commas
    between them.
    """
    plain = name.strip() and "," not in name
    return visible(name) if plain else f"'{visible(name)}'"


def kinds(names: Iterable[str]) -> str:
    """How many of each name there are, the most first: "2 person, 1 dog"; "nothing" of none."""
    counts = Counter(names).most_common()
    return ", ".join(f"{count} {called(name)}" for name, count in counts) or "nothing"


def some_of(names: Sequence[str], most: int = 12) -> str:
    """Names with commas between them, of many the first and how many more there are."""
    told = ", ".join(map(called, names[:most]))
    return f"{told} and {len(names) - most} more" if len(names) > most else told


def names_in(text: str) -> tuple[str, ...]:
    """The names in a text that has commas between them, without spaces around them.

    One that holds a comma itself is in quotes, as `called` writes it: `person, 'dog, big'`.
    """
    return tuple(
        quoted.strip() if quoted else plain.strip()
        for _, quoted, plain in _NAME.findall(text)
        if quoted.strip() or plain.strip()
    )


def kind_with_article(value: object) -> str:
    """What a value is, as words: "a list", "an int64"."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def visible(text: str) -> str:
    r"""A text as one line that a terminal shows as it stands: names of files may hold anything.

    What would end the line, or change what a terminal shows of the rest, is written out: `a\nb`.
    """
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
