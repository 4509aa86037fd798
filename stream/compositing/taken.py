"""Which parts of a picture are taken already, found without asking each of them."""

from __future__ import annotations

from collections.abc import Iterable

from stream.roi import Window

_CELLS = 24
"""Cells along a picture's longer side. A label is about as large as one of them."""


class Taken:
    """Windows that are taken, kept by the cells of the picture that they touch.

    With each compared with each other, ten thousand labels took more than a minute.

    Args:
        room: height and width of the picture in pixels.
        windows: that are taken from the start; they may reach beyond it.
    """

    def __init__(self, room: tuple[int, int], windows: Iterable[Window] = ()) -> None:
        self._cell = max(1, max(room) // _CELLS)
        self._order: dict[Window, int] = {}
        self._there: dict[tuple[int, int], list[Window]] = {}
        self._refused: set[Window] = set()
        for window in windows:
            self.add(window)

    def add(self, window: Window) -> None:
        """Takes a window; one that is taken already stays so."""
        if window not in self._order:
            self._order[window] = len(self._order)
            for cell in self._touched(window):
                self._there.setdefault(cell, []).append(window)

    def free(self, window: Window) -> bool:
        """Whether a window overlaps none that is taken."""
        # What is taken stays taken.
        if window in self._refused:
            return False
        top, bottom, left, right = window
        for cell in self._touched(window):
            for one in self._there.get(cell, ()):
                if top < one[1] and one[0] < bottom and left < one[3] and one[2] < right:
                    self._refused.add(window)
                    return False
        return True

    def in_the_way(self, window: Window) -> list[Window]:
        """The windows that one overlaps, each once, in the order in which they were taken."""
        top, bottom, left, right = window
        found = {
            one
            for cell in self._touched(window)
            for one in self._there.get(cell, ())
            if top < one[1] and one[0] < bottom and left < one[3] and one[2] < right
        }
        return sorted(found, key=self._order.__getitem__)

    def _touched(self, window: Window) -> list[tuple[int, int]]:
        cell = self._cell
        top, bottom, left, right = window
        columns = range(left // cell, (right - 1) // cell + 1)
        rows = range(top // cell, (bottom - 1) // cell + 1)
        return [(row, column) for row in rows for column in columns]
