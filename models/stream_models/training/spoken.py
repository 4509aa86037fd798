"""How far a run is, in lines, where no bar can be shown: in a file, a pipe, a scheduler's log."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.text import Text


class Spoken:
    """Says a sentence at once, and then one every so often; nothing on a terminal."""

    def __init__(
        self,
        console: Console,
        pause: float = 60.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Says nothing yet.

        Args:
            console: that a bar is shown on, if it is a terminal's.
            pause: seconds between two sentences.
            now: the clock, in seconds.
        """
        self._console = console
        self._pause = pause
        self._now = now
        self._due = now()

    def say(self, sentence: str, *, last: bool = False) -> None:
        """Says it where one is due, or it is the last one."""
        if self._console.is_terminal or (self._now() < self._due and not last):
            return
        self._due = self._now() + self._pause
        self._console.print(Text(sentence))
