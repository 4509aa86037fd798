"""Inputs on the command line: files, folders and patterns; what is taken, what is left out."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from stream.cli._hints import is_address, no_such_file
from stream.errors import SourceError, UsageError
from stream.names import at_home

RESULT = ".stream"
"""What comes before the ending of a result that was given no name."""

_NAMED = 5
"""So many names of what is left out are said."""


@dataclass(slots=True)
class Found:
    """What the inputs came to.

    Attributes:
        files: each with where it lies below the folder that was given; its name where it was given
            itself.
        folders: whether a folder or a pattern was among the inputs.
        left_out: sentences on what of folders was not taken.
    """

    files: list[tuple[Path, Path]] = field(default_factory=list)
    folders: bool = False
    left_out: list[str] = field(default_factory=list)


def find_inputs(
    inputs: Sequence[str], endings: frozenset[str], what: str, *, recursive: bool = False
) -> Found:
    """The files that the inputs name: files, folders and patterns such as `takes/*.mp4`.

    Args:
        inputs: as they were typed.
        endings: which files of a folder are taken.
        what: what they are called, such as "videos".
        recursive: whether subfolders are gone through.

    Raises:
        UsageError: an input does not exist or holds none, or is an address or a camera.
    """
    found = Found()
    for place, text in enumerate(inputs, start=1):
        if is_address(text):
            raise UsageError(
                f"{text} is an address, not a file; use: stream url ADDRESS, with -o FILE to record"
            )
        path = Path(text)
        try:
            is_folder, is_there = path.is_dir(), path.exists()
        except PermissionError as error:
            raise UsageError(f"{text} may not be read; check its permissions") from error
        if is_folder:
            found.folders = True
            found.files += _of_folder(path, endings, what, recursive, found.left_out)
        elif is_there:
            found.files.append((path, Path(path.name)))
        elif glob.has_magic(text):
            found.files += [(one, Path(one.name)) for one in _matches(text, endings, what)]
            found.folders = True
        else:
            raise no_such_file(text, last_of_several=1 < place == len(inputs))
    return found


def _of_folder(
    folder: Path, endings: frozenset[str], what: str, recursive: bool, left_out: list[str]
) -> list[tuple[Path, Path]]:
    from stream.sources.folders import files_in

    taken: list[Path] = []
    others: list[Path] = []
    for place in _folders(folder, recursive):
        try:
            found = files_in(place, endings)
        except SourceError as error:
            if place == folder:
                raise
            left_out.append(f"{error}; it is left out")
            continue
        taken += found.taken
        others += [one for one in found.left_out if not (recursive and one.is_dir())]
    results, taken = _parted(taken, lambda one: one.stem.endswith(RESULT))
    folders, others = _parted(others, Path.is_dir)
    if not taken:
        deeper = not recursive and _is_deeper(folder, endings)
        hint = "; --recursive looks into its subfolders" if deeper else ""
        raise UsageError(f"the folder {folder} has no {what} in it{hint}")
    said = [
        _counted(folder, folders, "subfolder", "; --recursive takes them too"),
        _counted(folder, others, "other file", ""),
        _counted(folder, results, "result of an earlier run", ""),
    ]
    left_out += [f"left out of {folder}: {one}" for one in said if one]
    return [(one, one.relative_to(folder)) for one in taken]


def _parted(
    paths: Iterable[Path], belongs: Callable[[Path], bool]
) -> tuple[list[Path], list[Path]]:
    """Those that belong, and the others; each is looked at once, as folders may hold thousands."""
    parts: tuple[list[Path], list[Path]] = ([], [])
    for path in paths:
        parts[not belongs(path)].append(path)
    return parts


def _is_deeper(folder: Path, endings: frozenset[str]) -> bool:
    """Whether files of a kind lie in a folder's subfolders."""
    from stream.sources.folders import files_in

    for one in _folders(folder, deep=True):
        with suppress(SourceError):
            if files_in(one, endings).taken:
                return True
    return False


def _folders(folder: Path, deep: bool) -> Iterator[Path]:
    """A folder and, where that is asked for, those in it; links are not followed in circles."""
    yield folder
    with suppress(OSError):  # whoever looks for files in it says so
        for child in sorted(folder.iterdir()) if deep else ():
            if child.is_dir() and not child.is_symlink() and not child.name.startswith("."):
                yield from _folders(child, deep)


def _counted(folder: Path, paths: Sequence[Path], what: str, hint: str) -> str:
    if not paths:
        return ""
    names = [str(one.relative_to(folder)) for one in paths]
    more = ", …" if len(names) > _NAMED else ""
    plural = "s" if len(names) > 1 else ""
    first, _, rest = what.partition(" of ")
    noun = f"{first}{plural} of {rest}" if rest else f"{first}{plural}"
    return f"{len(names)} {noun} ({', '.join(names[:_NAMED])}{more}){hint}"


def _matches(pattern: str, endings: frozenset[str], what: str) -> list[Path]:
    """Files that a pattern names; shells that expand patterns never show us one."""
    # In quotes, as a pattern has to be, no shell has read the `~`.
    written = [pattern, *{at_home(pattern)} - {pattern}]
    names = sorted(
        name
        for one in written
        for name in glob.glob(one, recursive=True)  # noqa: PTH207 - takes absolute ones too
    )
    files = [Path(name) for name in names if Path(name).suffix.lower() in endings]
    files = [path for path in files if path.is_file() and not path.name.startswith("._")]
    if not files:
        raise UsageError(f"nothing of the name {pattern} is among the {what} here")
    return files
