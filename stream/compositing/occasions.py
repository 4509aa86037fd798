"""When something was done in a film, or in which of many photos, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path

from stream.wording.words import counted

_SPANS = 20
"""Spans of time, or photos, that are said one by one."""


class Occasions:
    """Which frames something was done in, in memory that does not grow."""

    def __init__(self) -> None:
        self._count = 0
        self._spans: list[tuple[float, float]] = []
        self._more = 0
        self._before = False

    def add(self, seconds: float, *, done: bool) -> None:
        """The next frame, and whether it was done there."""
        if done:
            self._count += 1
            if not self._before:
                self._more += len(self._spans) >= _SPANS
                self._spans = [*self._spans[:_SPANS], (seconds, seconds)]
            else:
                self._spans[-1] = (self._spans[-1][0], seconds)
        self._before = done

    def remark(self, what: str, photos: Sequence[Path] = ()) -> list[str]:
        """In how many frames it was done, and when or in which; nothing where in none.

        Args:
            what: was done, as the sentence goes on.
            photos: the files that frames come from, one each second; none of a film.
        """
        if not self._count:
            return []
        spans = self._spans[:_SPANS]
        if photos:
            places = chain.from_iterable(
                range(round(start), round(end) + 1) for start, end in spans
            )
            names = [photos[place].name for place in islice(places, _SPANS)]
            more = f" and {self._count - len(names)} more" if self._count > len(names) else ""
            return [f"in {counted(self._count, 'picture')} {what}: {', '.join(names)}{more}"]
        times = ", ".join(
            f"{start:.2f} s" if start == end else f"{start:.2f}-{end:.2f} s" for start, end in spans
        )
        more = f" and {counted(self._more, 'more time')}" if self._more else ""
        return [f"in {counted(self._count, 'frame')} {what}: {times}{more}"]
