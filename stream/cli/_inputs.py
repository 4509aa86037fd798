"""Inputs on the command line: files, folders and patterns; what is taken, what is left out."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from stream.cli._hints import is_address, no_such_file
from stream.errors import SourceError, UsageError
from stream.wording.names import RESULT, at_home, is_piece, is_result, numbered, unnumbered

Thing = TypeVar("Thing")

_OF_EARLIER = "result of an earlier run"
_MAGIC = re.compile(r"[*?[]")
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
    inputs: Sequence[str],
    endings: frozenset[str],
    what: str,
    *,
    recursive: bool = False,
    into: Sequence[str | None] = (),
) -> Found:
    """The files that the inputs name: files, folders and patterns such as `takes/*.mp4`.

    Results of earlier runs are not taken once more: what a folder has of their name, what a folder
    or a pattern has in a folder below it that results go into, and what is named together with its
    own input, as by a shell that wrote a pattern out.

    Args:
        inputs: as they were typed.
        endings: which files of a folder are taken.
        what: what they are called, such as "videos".
        recursive: whether subfolders are gone through.
        into: where results go, as it was typed.

    Raises:
        UsageError: an input does not exist or holds none, or is an address or a camera.
    """
    found = Found()
    results = frozenset(_real(one) for one in into if one and Path(one).is_dir())
    for place, text in enumerate(inputs, start=1):
        if is_address(text):
            raise _no_file(text)
        path = Path(text)
        try:
            is_folder, is_there = path.is_dir(), path.exists()
        except PermissionError as error:
            raise UsageError(f"{text} may not be read; check its permissions") from error
        if is_folder:
            found.folders = True
            found.files += _of_folder(path, endings, what, recursive, results, found.left_out)
        elif is_there:
            found.files.append((path, Path(path.name)))
        elif glob.has_magic(text):
            found.folders = True
            matches = _of_pattern(text, endings, what, results, found.left_out)
            found.files += [(one, Path(one.name)) for one in matches]
        elif _is_film(text, endings):
            found.files.append((path, Path(unnumbered(path).name)))
        else:
            raise no_such_file(text, last_of_several=1 < place == len(inputs), into=into)
    _leave_own_results(found)
    return found


def _is_film(text: str, endings: frozenset[str]) -> bool:
    """Whether it names numbered pictures that are one film, where films are taken."""
    from stream.sources.folders import PICTURE_ENDINGS

    picture = Path(text).suffix.lower() in PICTURE_ENDINGS - endings
    return picture and numbered(text) is not None


def _leave_own_results(found: Found) -> None:
    """Leaves results out that are among the inputs together with what they came of."""
    named = {one.parent / name for one, _ in found.files for name in (one.stem, one.name)}
    results, kept = _parted(
        found.files,
        lambda one: (
            is_result(one[0].name) and one[0].parent / one[0].stem.removesuffix(RESULT) in named
        ),
    )
    if results:
        line = _counted(None, [one for one, _ in results], _OF_EARLIER, "")
        found.left_out.append(f"left out: {line}")
        found.files = kept


def _of_folder(
    folder: Path,
    endings: frozenset[str],
    what: str,
    recursive: bool,
    into: frozenset[Path],
    left_out: list[str],
) -> list[tuple[Path, Path]]:
    from stream.sources.folders import files_in

    taken: list[Path] = []
    others: list[Path] = []
    passed: list[Path] = []
    for place in _folders(folder, recursive, into, passed):
        try:
            found = files_in(place, endings)
        except SourceError as error:
            if place == folder:
                raise
            left_out.append(f"{error}; it is left out")
            continue
        taken += found.taken
        others += [one for one in found.left_out if not (recursive and one.is_dir())]
    results, taken = _parted(taken, lambda one: is_result(one.name) or is_piece(one.name))
    folders, others = _parted(others, Path.is_dir)
    if not taken:
        deeper = not recursive and _is_deeper(folder, endings, into)
        hint = ", only results of earlier runs" if results else ""
        hint += "; --recursive looks into its subfolders" if deeper else ""
        hint += _for_others(others, endings)
        raise UsageError(f"the folder {folder} has no {what} in it{hint}")
    said = [
        _counted(folder, folders, "subfolder", "; --recursive takes them too"),
        _counted(folder, passed, "folder", ", into which results go"),
        _counted(folder, others, "other file", ""),
        _counted(folder, results, _OF_EARLIER, ""),
    ]
    left_out += [f"left out of {folder}: {one}" for one in said if one]
    return [(one, one.relative_to(folder)) for one in taken]


def _ways() -> tuple[tuple[str, frozenset[str]], ...]:
    from stream.sources.folders import PICTURE_ENDINGS, VIDEO_ENDINGS

    return (
        ("its pictures are for: stream image; where they are one film, say --fps", PICTURE_ENDINGS),
        ("its videos are for: stream file", VIDEO_ENDINGS),
    )


def _for_others(others: Sequence[Path], endings: frozenset[str]) -> str:
    """What files that are none of those with certain endings are for; "" where that is unknown."""
    other = next((ways for ways, of in _ways() if of - endings and _any_of(others, of)), "")
    return f"; {other}" if other else ""


def _any_of(paths: Iterable[Path], endings: frozenset[str]) -> bool:
    return any(one.suffix.lower() in endings for one in paths)


def _parted(
    things: Iterable[Thing], belongs: Callable[[Thing], bool]
) -> tuple[list[Thing], list[Thing]]:
    """Those that belong, and the others; each is looked at once, as folders may hold thousands."""
    parts: tuple[list[Thing], list[Thing]] = ([], [])
    for one in things:
        parts[not belongs(one)].append(one)
    return parts


def _is_deeper(folder: Path, endings: frozenset[str], into: frozenset[Path]) -> bool:
    """Whether files of a kind lie in a folder's subfolders."""
    from stream.sources.folders import files_in

    for one in _folders(folder, True, into, []):
        with suppress(SourceError):
            if files_in(one, endings).taken:
                return True
    return False


def _folders(folder: Path, deep: bool, into: frozenset[Path], passed: list[Path]) -> Iterator[Path]:
    """A folder and, where that is asked for, those in it; links are not followed in circles.

    Those that results go into are passed over, and put into a list.
    """
    yield folder
    with suppress(OSError):  # whoever looks for files in it says so
        for child in sorted(folder.iterdir()) if deep else ():
            if not child.is_dir() or child.is_symlink() or child.name.startswith("."):
                continue
            if into and _real(child) in into:
                passed.append(child)
            else:
                yield from _folders(child, deep, into, passed)


def _no_file(address: str) -> UsageError:
    """What an address is for, where a file is asked for."""
    from stream.fleet.places import STORAGE

    use = "stream url ADDRESS, with -o FILE to record"
    if address.partition("://")[0].lower() in STORAGE:
        use = "stream fleet ADDRESS -o FOLDER, for files in a storage"
    return UsageError(f"{address} is an address, not a file; use: {use}")


def _real(path: str | Path) -> Path:
    """Where a path leads; `Path.resolve` fails where links lead in a circle."""
    return Path(os.path.realpath(path))


def _counted(folder: Path | None, paths: Sequence[Path], what: str, hint: str) -> str:
    if not paths:
        return ""
    names = [str(one if folder is None else one.relative_to(folder)) for one in paths[: _NAMED + 1]]
    more = ", …" if len(paths) > _NAMED else ""
    plural = "s" if len(paths) > 1 else ""
    first, _, rest = what.partition(" of ")
    noun = f"{first}{plural} of {rest}" if rest else f"{first}{plural}"
    return f"{len(paths)} {noun} ({', '.join(names[:_NAMED])}{more}){hint}"


def _of_pattern(
    pattern: str, endings: frozenset[str], what: str, into: frozenset[Path], left_out: list[str]
) -> list[Path]:
    """Files that a pattern names, without those in folders that results go into."""
    base = _real(at_home(_MAGIC.split(pattern, maxsplit=1)[0] + "_")).parent
    below = {one for one in into if base in one.parents}
    files = _matches(pattern, endings, what)
    if not below:
        return files
    results, files = _parted(files, lambda one: not below.isdisjoint(_real(one).parents))
    if not files:
        raise UsageError(f"all {what} of the name {pattern} are results of earlier runs")
    if results:
        left_out.append(f"left out of {pattern}: {_counted(None, results, _OF_EARLIER, '')}")
    return files


def _matches(pattern: str, endings: frozenset[str], what: str) -> list[Path]:
    """Files that a pattern names; shells that expand patterns never show us one."""
    # In quotes, as a pattern has to be, no shell has read the `~`.
    written = [pattern, *{at_home(pattern)} - {pattern}]
    names = sorted(
        name
        for one in written
        for name in glob.glob(one, recursive=True)  # noqa: PTH207 - takes absolute ones too
    )
    found = [Path(name) for name in names]
    files = [one for one in found if one.suffix.lower() in endings]
    files = [one for one in files if one.is_file() and not one.name.startswith("._")]
    files = [one for one in files if not is_piece(one.name)]
    if not files:
        raise UsageError(
            f"nothing of the name {pattern} is among the {what} here{_for_others(found, endings)}"
        )
    return files
