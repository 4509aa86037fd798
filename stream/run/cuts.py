"""Where the files of a live recording begin, so that those of one run belong together."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from stream.disk.files import shortened

_APART = 3
"""Seconds that files begin apart which nobody planned: outputs that fail together go on so."""

_REMEMBERED = 16
"""Files whose beginnings are known. No output is farther behind another, and days have many."""


class _File(NamedTuple):
    number: int
    start: Fraction
    label: str


def moment() -> str:
    """The present as names of files have it."""
    return time.strftime("%Y%m%d-%H%M%S")


class Cuts:
    """Says which file a picture belongs to, by its time; from any thread.

    All outputs of a run ask the same one, so that a video and its records begin and end with the
    same picture and are called by the same moment.

    Args:
        minutes: how long a file is to be; None for one that ends with the run.
        called: names the present.
    """

    def __init__(self, minutes: float | None = None, called: Callable[[], str] = moment) -> None:
        self._length = None if minutes is None else 60 * Fraction(minutes).limit_denominator(10**6)
        self._called = called
        self._lock = threading.Lock()
        self._files: deque[_File] = deque(maxlen=_REMEMBERED)
        self._first = "" if minutes is None else called()

    def number(self, at: Fraction) -> int:
        """The file that a picture goes into, from 0.

        Args:
            at: the picture's time in seconds, on the source's clock.
        """
        with self._lock:
            if not self._files:
                self._files.append(_File(0, at, self._first))
            last = self._files[-1]
            if self._length is not None and at >= last.start + self._length:
                # The next of them that holds it: nothing may have come for hours.
                self._add(last.start + (at - last.start) // self._length * self._length)
            return next((one.number for one in reversed(self._files) if one.start <= at), 0)

    def cut(self, at: Fraction) -> None:
        """Begins a file with the first picture from this time on, where none has begun lately."""
        with self._lock:
            if not self._files or at > self._files[-1].start + _APART:
                self._add(at)

    def path(self, target: str, number: int) -> Path:
        """The name of a file: as it was asked for, or with the moment when it begins behind it.

        Args:
            target: as it was asked for. That is the name of the first file where no length was
                asked for; all others have names that nothing has yet.
            number: of the file.
        """
        with self._lock:
            known = {one.number: one.label for one in self._files}
            label = known.get(number, self._first)
        asked = Path(target)
        if not label:
            return asked
        again = 1
        while True:
            behind = f"-{label}{f'-{again}' if again > 1 else ''}{asked.suffix}"
            path = asked.with_name(shortened(asked.parent, asked.stem, behind))
            if not path.exists():
                return path
            again += 1

    def _add(self, start: Fraction) -> None:
        label = self._called()
        before = {one.label for one in self._files}
        again, plain = 2, label
        while label in before:
            label, again = f"{plain}-{again}", again + 1
        number = self._files[-1].number + 1 if self._files else 0
        self._files.append(_File(number, start, label))
