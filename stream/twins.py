"""Results of which one would take the place of another, whatever the disk takes for one name."""

from __future__ import annotations

import os
import tempfile
import unicodedata
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")


class Twins(Generic[T]):
    """Who writes where, so that no two write to one place.

    Paths are one by whatever way they are written, through links and mounts too, and where the
    disk that they lie on takes their names for one: most of those that cameras, macOS and Windows
    use ignore case, and some in which of Unicode's ways a letter is written.
    """

    def __init__(self) -> None:
        """Nobody writes anywhere yet."""
        self._taken: dict[object, list[tuple[tuple[str, ...], T]]] = {}

    def take(self, target: str, by: T) -> T | None:
        """Notes who writes to a target, unless somebody does already.

        Args:
            target: a path, or an address.
            by: who.

        Returns:
            Who does already; None where nobody does.
        """
        folder, way = (Path(), (target,)) if "://" in target else _place_of(target)
        here = target if "://" in target else _number_of(folder)
        likely = self._taken.setdefault((here, tuple(map(_folded, way))), [])
        for other, who in likely:
            if other == way or _are_one(folder, other, way):
                return who
        likely.append((way, by))
        return None


def would_be_one(one: Path, other: Path) -> bool:
    """Whether two files that are not there yet would be one."""
    twins: Twins[bool] = Twins()
    twins.take(os.fspath(one), True)
    return twins.take(os.fspath(other), True) is not None


def _place_of(target: str) -> tuple[Path, tuple[str, ...]]:
    """The nearest folder above a path that is there, and the way from it."""
    path = Path(os.path.realpath(target))
    folder = path.parent
    # `Path.is_dir` fails where one may not look, and of names that are too long.
    while not os.path.isdir(folder) and folder != folder.parent:  # noqa: PTH112
        folder = folder.parent
    return folder, path.relative_to(folder).parts


def _number_of(folder: Path) -> object:
    """The same for all names of a folder."""
    about = folder.stat()
    return about.st_dev, about.st_ino


def _folded(name: str) -> str:
    """The same for all names that any disk takes for this one."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def _are_one(folder: Path, one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two ways from a folder lead to one file there, which only its disk knows."""
    try:
        with tempfile.TemporaryDirectory(prefix=".stream-", dir=folder) as name:
            trial = Path(name)
            trial.joinpath(*one).mkdir(parents=True)
            return trial.joinpath(*other).exists()
    except OSError:  # whoever is to write there says why
        return False
