"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, one: str, several: str = "") -> str:
    """How many of something, as words: "1 frame", "2 frames".

    Args:
        number: how many.
        one: what one of it is called.
        several: what several are called, where that is not `one` with an s.
    """
    return f"{number} {one if number == 1 else several or f'{one}s'}"
