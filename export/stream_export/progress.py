"""How far something is that takes minutes: a bar on a terminal, else a sentence now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

Watch = Callable[[int], None]
"""Is told at which picture something is, from 1 on, as it begins with it."""


class Spoken:
    """Says a sentence at once, and then one every so often; nothing on a terminal.

    For where no bar can be shown: in a file, a pipe, a scheduler's log.
    """

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


@contextmanager
def pictures_of(what: str, count: int, console: Console | None = None) -> Iterator[Watch]:
    """Shows on standard error which of so many pictures something is at, while the block runs.

    Args:
        what: is done with them, such as "comparing".
        count: of the pictures.
        console: where it is shown instead.
    """
    console = console or Console(stderr=True)
    spoken = Spoken(console)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(what, total=count)

        def watch(number: int) -> None:
            told = f"{what}: picture {number} of {count}"
            bar.update(task, completed=number - 1, description=told)
            spoken.say(told)

        yield watch
