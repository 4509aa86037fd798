"""Results of which one would take the place of another, whatever the disk takes for one name."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from stream.errors import UsageError

T = TypeVar("T")


class _Folder(NamedTuple):
    """The nearest folder above a place that is there, what tells it from others, and the way."""

    path: Path
    number: object
    way: tuple[str, ...]


class Twins(Generic[T]):
    """Who writes where, so that no two write to one place.

    Paths are one by whatever way they are written, through links and mounts too, and where the
    disk that they lie on takes their names for one: most of those that cameras, macOS and Windows
    use ignore case, and some in which of Unicode's ways a letter is written.
    """

    def __init__(self) -> None:
        """Nobody writes anywhere yet."""
        self._taken: dict[object, list[tuple[tuple[str, ...], T]]] = {}
        self._folders: dict[str, _Folder] = {}

    def take(self, target: str, by: T) -> T | None:
        """Notes who writes to a target, unless somebody does already.

        Args:
            target: a path, or an address.
            by: who.

        Returns:
            Who does already; None where nobody does.
        """
        folder = _Folder(Path(), target, (target,)) if "://" in target else self._place(target)
        likely = self._taken.setdefault((folder.number, tuple(map(_folded, folder.way))), [])
        for other, who in likely:
            if other == folder.way or _are_one(folder.path, other, folder.way):
                return who
        likely.append((folder.way, by))
        return None

    def _place(self, target: str) -> _Folder:
        above, name = os.path.split(target)
        # `Path.is_symlink` and `Path.is_dir` fail where one may not look, and of too long names.
        if name in {"", ".", ".."} or os.path.islink(target):  # noqa: PTH114
            above, name = os.path.split(os.path.realpath(target))
        if above not in self._folders:  # Of thousands of results most lie in few.
            self._folders[above] = _folder_of(above)
        path, number, way = self._folders[above]
        return _Folder(path, number, (*way, name))


def would_be_one(one: Path, other: Path) -> bool:
    """Whether two files that are not there yet would be one."""
    twins: Twins[bool] = Twins()
    twins.take(os.fspath(one), True)
    return twins.take(os.fspath(other), True) is not None


def refuse_twins(sources: Sequence[Path], target_of: Callable[[int], Path]) -> None:
    """Refuses pictures of which one would replace another's result.

    Args:
        sources: the pictures.
        target_of: what becomes of the one at a place.

    Raises:
        UsageError: two would become one.
    """
    twins: Twins[Path] = Twins()
    for index, source in enumerate(sources):
        target = target_of(index)
        other = twins.take(os.fspath(target), source)
        if other is not None:
            raise UsageError(
                f"{other} and {source} would both become {target}; {recursive_hint(other, source)}"
                "do them one by one, into folders of their own, or number them, as in "
                "-o out/%06d.png"
            )


def recursive_hint(one: Path, other: Path) -> str:
    """What to do about inputs whose names are alike and whose folders are not."""
    if one.parent == other.parent:
        return ""
    return "name the folder that holds them all, with --recursive; else "


def _folder_of(above: str) -> _Folder:
    path = folder = Path(os.path.realpath(above))
    while not os.path.isdir(folder) and folder != folder.parent:  # noqa: PTH112
        folder = folder.parent
    about = folder.stat()
    return _Folder(folder, (about.st_dev, about.st_ino), path.relative_to(folder).parts)


def _folded(name: str) -> str:
    """The same for all names that any disk takes for this one."""
    if name.isascii():
        return name.lower()
    import unicodedata

    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def _are_one(folder: Path, one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two ways from a folder lead to one file there, which only its disk knows."""
    import tempfile

    try:
        with tempfile.TemporaryDirectory(prefix=".stream-", dir=folder) as name:
            trial = Path(name)
            trial.joinpath(*one).mkdir(parents=True)
            return trial.joinpath(*other).exists()
    except OSError:  # whoever is to write there says why
        return False
