"""Which parts of a picture are taken already, found without asking each of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from stream.roi import Window

_CELLS = 24
"""Cells along a picture's longer side. A label is about as large as one of them."""

_FEW = 16
"""Windows up to which asking each is quicker than finding cells."""


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
        if window in self._order:
            return
        self._order[window] = len(self._order)
        if len(self._order) > _FEW:
            for one in (window,) if self._there else self._order:
                for cell in self._touched(one):
                    self._there.setdefault(cell, []).append(one)

    def free(self, window: Window) -> bool:
        """Whether a window overlaps none that is taken."""
        # What is taken stays taken.
        if window in self._refused:
            return False
        top, bottom, left, right = window
        for some in self._near(window):
            for one in some:
                if top < one[1] and one[0] < bottom and left < one[3] and one[2] < right:
                    self._refused.add(window)
                    return False
        return True

    def in_the_way(self, window: Window) -> list[Window]:
        """The windows that one overlaps, each once, in the order in which they were taken."""
        if self.free(window):
            return []
        top, bottom, left, right = window
        found = {
            one
            for some in self._near(window)
            for one in some
            if top < one[1] and one[0] < bottom and left < one[3] and one[2] < right
        }
        return sorted(found, key=self._order.__getitem__)

    def _near(self, window: Window) -> Iterable[Collection[Window]]:
        """Windows that it may overlap, some of them more than once."""
        if not self._there:
            return (self._order,)
        return [self._there.get(cell, ()) for cell in self._touched(window)]

    def _touched(self, window: Window) -> list[tuple[int, int]]:
        cell = self._cell
        top, bottom, left, right = window
        columns = range(left // cell, (right - 1) // cell + 1)
        rows = range(top // cell, (bottom - 1) // cell + 1)
        return [(row, column) for row in rows for column in columns]
