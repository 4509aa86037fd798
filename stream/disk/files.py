"""Files that are replaced: whole or not at all, and never anything else in their place."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from stream.disk.leftovers import mark, remove_dead, unmark
from stream.disk.twins import would_be_one
from stream.errors import NoFolderError, SinkError, UsageError

# What a file name may be long in bytes where the system does not say.
_LONGEST_NAME = 255
_ATTEMPTS = 1000
_NOT_ON_WINDOWS = re.compile(r'[<>:"|?*\x00-\x1f]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9]) *(\.|$)", re.IGNORECASE)


def target_of(path: Path) -> Path:
    """The file that a name stands for: where it is a link, what the link points to.

    Raises:
        SinkError: the links go round in a circle.
        OSError: the system cannot say.
    """
    if not path.is_symlink():
        return path
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise SinkError(f"{path} cannot be written: its links go round in a circle") from error


def identity(path: Path) -> tuple[int, int] | None:
    """What is the same for all names of a file; None where there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def by_identity(paths: Iterable[Path]) -> dict[tuple[int, int], Path]:
    """Files by their identity, of the same ones the first; those that are not there are left out.

    Thousands are compared so with thousands, where `same_file` would ask for each of each.
    """
    found: dict[tuple[int, int], Path] = {}
    for path in paths:
        known = identity(path)
        if known is not None:
            found.setdefault(known, path)
    return found


def same_file(one: Path, other: Path) -> bool:
    """Whether two names stand for one file: by links, other spellings, or two names of it.

    Files that are not there yet are told apart by where they will be.
    """
    try:
        if one.exists() and other.exists():
            return one.samefile(other)
        return would_be_one(one, other)
    except (OSError, ValueError, RuntimeError):
        return False  # no name of a file; whoever opens it says why


def windows_refuses(name: str) -> str:
    """Why Windows has no file of that name, as the end of a sentence; "" where it may have one.

    It takes `a:b.mp4` for a part of the file `a` that no program shows, `aux.mp4` for a device, and
    drops a full stop at the end.
    """
    wrong = _NOT_ON_WINDOWS.search(name)
    if wrong is not None:
        return f"Windows has no names with {wrong[0]!r}"
    if _DEVICES.match(name):
        return f"{name.partition('.')[0]} is a device on Windows"
    return "Windows has no names that end so" if name.endswith((".", " ")) else ""


def check_replaceable(path: Path, *, overwrite: bool, option: str = "--overwrite") -> None:
    """Refuses a file that cannot be written, or that is there and may not be replaced.

    Args:
        path: the file to be written.
        overwrite: whether an existing file may be replaced.
        option: what allows that, for the message.

    Raises:
        UsageError: the file exists and may not be replaced, or is a folder.
        SinkError: its folder does not exist or may not be written to, or its name is too long, or
            none that the system has.
    """
    if sys.platform == "win32" and (why := windows_refuses(path.name)):
        raise SinkError(f"{path} cannot be written: {why}; choose another name")
    try:
        target = target_of(path)
        if target.is_dir():
            raise UsageError(f"{path} is a folder; name the file to write in it")
        folder = target.parent
        if not folder.is_dir():
            raise NoFolderError(f"{path} cannot be written: the folder {folder} does not exist")
        exists = target.exists()
        if target.is_file() and not overwrite:
            raise UsageError(f"{path} exists already; add {option} to replace it")
        replaced = exists and target.is_file()  # by a new file, which takes its place
        open_folder = (exists and not replaced) or os.access(folder, os.W_OK)
        writable = open_folder and (not exists or os.access(target, os.W_OK))
    except OSError as error:
        raise SinkError(f"{path} cannot be written: {error.strerror or error}") from error
    if not writable:
        what = "the file is protected" if open_folder else f"the folder {folder} is protected"
        raise SinkError(f"{path} cannot be written: permission denied, {what}; choose another")


def create_beside(path: Path) -> tuple[Path, int]:
    """Creates a new file beside another, for what is to take its place.

    Its name is NAME.partial.ENDING; where there is one already (what a crash left behind, or
    anything else), NAME.partial-2.ENDING and so on, so that nothing is ever written over.

    Returns:
        Its path and its descriptor, open for writing.

    Raises:
        OSError: it cannot be created.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    for number, beside in enumerate(_names_beside(path), start=1):
        try:
            file = os.open(beside, flags, 0o666)
        except FileExistsError:
            if number == _ATTEMPTS:
                raise
            continue
        mark(file)
        with contextlib.suppress(OSError):
            beside.chmod(stat.S_IMODE(path.stat().st_mode))
        return beside, file
    raise AssertionError


def remove_left_beside(path: Path) -> None:
    """Removes what runs that were killed have left of a file, which is whole now."""
    remove_dead(itertools.takewhile(os.path.lexists, _names_beside(path)))


def _names_beside(path: Path) -> Iterator[Path]:
    for number in itertools.count(1):
        rest = ".partial" if number == 1 else f".partial-{number}"
        yield path.with_name(shortened(path.parent, path.stem, rest + path.suffix))


def shortened(folder: Path, stem: str, rest: str) -> str:
    """A name of a stem and what comes behind it, the stem cut so that the system takes the name.

    Args:
        folder: that it is for.
        stem: what may be cut.
        rest: what is kept.
    """
    longest = _LONGEST_NAME
    if sys.platform != "win32":
        with contextlib.suppress(OSError, ValueError):
            longest = os.pathconf(folder, "PC_NAME_MAX")
    whole, ending = os.fsencode(stem), os.fsencode(rest)
    # Not in the middle of a character.
    kept = whole[: max(0, longest - len(ending))]
    if len(kept) < len(whole):
        kept = os.fsencode(kept.decode(errors="ignore"))
    return os.fsdecode(kept + ending)


def beginning_of(path: Path, count: int, what: str) -> bytes:
    """The first bytes of a file that is to be replaced; none of what is not there, or no file.

    Args:
        path: it.
        count: how many bytes at most.
        what: it is called in the error.

    Raises:
        SinkError: it cannot be read.
    """
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise SinkError(f"cannot write the {what} {path}: {error.strerror or error}") from error


def sync_file(path: Path) -> None:
    """Waits until what is in a file is on the disk itself.

    Raises:
        OSError: the disk does not take it.
    """
    # Windows does this for nobody who may not write.
    file = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk itself, where the system can do that.

    Without it a power cut may leave a finished file under the name that it was written under.
    """
    with contextlib.suppress(OSError):  # Windows opens no folders, some file systems sync none
        sync_file(folder)


def write_whole(path: Path, data: bytes, *, overwrite: bool, settle: bool = True) -> None:
    """Writes a file so that it is either complete or as it was, also after a power cut.

    Args:
        path: the file; a link keeps pointing where it does.
        data: its content.
        overwrite: whether an existing file may be replaced.
        settle: whether to wait until it is on the disk itself, for some milliseconds. Otherwise it
            may be empty after a power cut, until `sync_file`.

    Raises:
        FileExistsError: it is there and may not be replaced.
        OSError: it cannot be written.
    """
    target = target_of(path)
    if target.exists() and not target.is_file():  # a pipe or a device
        target.write_bytes(data)
        return
    beside, file = create_beside(target)
    try:
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(file, left) :]
            if settle:
                os.fsync(file)
            unmark(file)
        finally:
            os.close(file)
        if overwrite:
            beside.replace(target)
        else:
            put_in_place(beside, target)
        if settle:
            sync_folder(target.parent)
        remove_left_beside(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def put_in_place(beside: Path, target: Path) -> None:
    """Gives a file a name that nothing has yet.

    Raises:
        FileExistsError: something has come to have it.
        OSError: the file cannot be renamed.
    """
    if os.name == "nt":
        beside.rename(target)  # refuses what exists
        return
    try:
        os.link(beside, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: the moment in between cannot be closed
        if target.exists():
            raise FileExistsError(f"{target} exists") from None
        beside.rename(target)
    else:
        beside.unlink()
