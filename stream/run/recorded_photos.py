"""Which photo an entry of records is of, by its file's name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from stream.records.entries import Entry


class Photos:
    """Hands out what was recorded of each photo.

    Photos have nothing to do with each other: some of them may be gone since, others new, and
    tools number them in orders of their own.

    Attributes:
        unread: how many entries so far are of no photo that is still to come.

    Args:
        paths: the photos, in the order in which they will be asked for.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._places = {path: place for place, path in enumerate(paths)}
        self._by_name: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        for path, place in self._places.items():
            way = path.absolute().parts
            self._by_name.setdefault(path.name, []).append((way, place))
        self._waiting: dict[int, Entry] = {}
        self._passed = self._of_none = 0

    @property
    def unread(self) -> int:
        """How many entries that were read are of no photo, or were not asked for."""
        return self._of_none + len(self._waiting)

    def entry(self, path: Path, entries: Iterator[Entry], most: int | None) -> Entry | None:
        """What was recorded of a photo; None where nothing was.

        Args:
            path: the photo.
            entries: what was not read yet.
            most: how many entries of later photos may be held; None for all.
        """
        wanted = self._places[path]
        self._passed = wanted
        if wanted in self._waiting:
            return self._waiting.pop(wanted)
        while most is None or len(self._waiting) < most:
            one = next(entries, None)
            if one is None:
                return None
            place = self._place_of(one.file)
            if place == wanted:
                return one
            if place is None or place < self._passed or place in self._waiting:
                self._of_none += 1
            else:
                self._waiting[place] = one
        return None

    def _place_of(self, name: str) -> int | None:
        """The place of the one photo that a name is of; None where it is of none, or of several."""
        way = PurePosixPath(name.replace("\\", "/")).parts
        alike = self._by_name.get(way[-1], []) if way else []
        found = [place for whole, place in alike if whole[-len(way) :] == way]
        return found[0] if len(found) == 1 else None
