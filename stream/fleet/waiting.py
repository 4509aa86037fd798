"""What waits to be handed out, in order, however many files there are."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from itertools import islice

from stream.fleet.parts import PartKey

_LOOKED_AT = 1000
"""So many at most are looked through for one that fits."""

Handed = tuple[int, PartKey | None]
"""A file's number, and which part of it; None for the file."""


class Waiting:
    """Tasks that wait: of files that are begun first, then files, then what has failed once.

    Everything takes the same time however many wait: a file's tasks are taken out by its number.

    Args:
        files: the numbers of those that are not begun, in order.
    """

    def __init__(self, files: Iterable[int]) -> None:
        self._begun: OrderedDict[Handed, None] = OrderedDict()
        self._files = deque(files)
        self._again: OrderedDict[Handed, None] = OrderedDict()
        self._of_file: dict[int, set[PartKey | None]] = {}

    def __len__(self) -> int:
        return len(self._begun) + len(self._files) + len(self._again)

    def pop(self, fits: Callable[[Handed], bool] = lambda task: True) -> Handed | None:
        """The next one; None where there is none that fits.

        Args:
            fits: asked of what was begun before, whether it may be tried here.
        """
        found = self._first_of(self._begun, fits)
        if found is None and self._files:
            return self._files.popleft(), None
        return found or self._first_of(self._again, fits)

    def _first_of(
        self, tasks: OrderedDict[Handed, None], fits: Callable[[Handed], bool]
    ) -> Handed | None:
        for task in islice(tasks, _LOOKED_AT):
            if fits(task):
                del tasks[task]
                return self._forget(task)
        return None

    def first(self, tasks: Iterable[Handed]) -> None:
        """They come next, in this order."""
        for task in reversed(list(tasks)):
            self._note(task)
            self._begun[task] = None
            self._begun.move_to_end(task, last=False)

    def last(self, task: Handed) -> None:
        """It comes after all others that wait now."""
        self._note(task)
        self._again[task] = None

    def leave(self, number: int) -> None:
        """Nothing of a file that was begun waits any more."""
        for key in self._of_file.pop(number, ()):
            self._begun.pop((number, key), None)
            self._again.pop((number, key), None)

    def _note(self, task: Handed) -> None:
        self._of_file.setdefault(task[0], set()).add(task[1])

    def _forget(self, task: Handed) -> Handed:
        number, key = task
        keys = self._of_file[number]
        keys.discard(key)
        if not keys:
            del self._of_file[number]
        return task
