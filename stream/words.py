"""Numbers and names in sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence

# What moves the cursor, colours or ends a line, and what turns the direction of letters round.
_UNSEEN = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]")


def counted(number: int, one: str, several: str = "") -> str:
    """How many of something, as words: "1 frame", "2 frames".

    Args:
        number: how many.
        one: what one of it is called.
        several: what several are called, where that is not `one` with an s.
    """
    return f"{number} {one if number == 1 else several or f'{one}s'}"


def listed(numbers: Sequence[int], one: str) -> str:
    """Things by their numbers, as words: "stream 1", "streams 1, 2 and 4".

    Args:
        numbers: at least one.
        one: what one of them is called.
    """
    *first, last = map(str, numbers)
    return f"{one}s {', '.join(first)} and {last}" if first else f"{one} {last}"


def called(name: str) -> str:
    """A class's name in a sentence, as it stands; one of nothing but spaces in quotes."""
    return visible(name) if name.strip() else f"'{name}'"


def kind_with_article(value: object) -> str:
    """What a value is, as words: "a list", "an int64"."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def visible(text: str) -> str:
    r"""A text as one line that a terminal shows as it stands: names of files may hold anything.

    What would end the line, or change what a terminal shows of the rest, is written out: `a\nb`.
    """
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
