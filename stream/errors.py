"""Errors that a user can do something about.

The message is one sentence: what is wrong, where, and what to do. The command line prints it
without a traceback and exits with `exit_code`.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class StreamError(Exception):
    """Something the user can mend; the run failed (exit code 1)."""

    exit_code = 1

    def __str__(self) -> str:
        # A file's name may be no text at all; what is said must be.
        return super().__str__().encode(errors="replace").decode()


class UsageError(StreamError):
    """The request itself cannot be carried out as given (exit code 2)."""

    exit_code = 2


class SourceError(StreamError):
    """The input cannot be opened or read.

    Args:
        what: cannot be read, and why.
        lasting: whether it is of no use to try again, as where a password is wrong.

    Attributes:
        lasting: as given.
    """

    def __init__(self, what: str = "", *, lasting: bool = False) -> None:
        super().__init__(what)
        self.lasting = lasting


class NoSourceError(SourceError):
    """There is no input of that name, so that the request cannot be carried out (exit code 2)."""

    exit_code = 2


class PictureError(SourceError, ValueError):
    """Of pictures given as arrays, one is no such array; elsewhere that is a ValueError alone."""


class SinkError(StreamError):
    """The output cannot be written.

    Args:
        what: cannot be written, and why.
        saved: what of it is there all the same, where there is anything to say of that.
        by_place: whether it is because of where the file lies, as where the disk is full, so that
            another one may be written later.
        frames: how many of those that it took are there; None where that is all of them.

    Attributes:
        what: as given, for whoever does not keep what was saved.
        by_place: as given.
        frames: as given.
    """

    def __init__(
        self, what: str, saved: str = "", *, by_place: bool = False, frames: int | None = None
    ) -> None:
        super().__init__(f"{what}; {saved}" if saved else what)
        self.what = what
        self.by_place = by_place
        self.frames = frames


class NoFolderError(SinkError):
    """There is no folder to write the output into, as it was named (exit code 2)."""

    exit_code = 2


class ModelError(StreamError):
    """The model cannot be loaded or breaks the model contract."""


class NoModelError(ModelError):
    """There is no model of that name, so that the request cannot be carried out (exit code 2)."""

    exit_code = 2


class ProviderError(StreamError):
    """The requested execution provider cannot be used here."""


class OutOfReachError(StreamError):
    """What is needed does not answer or is taken, as a cluster or a port; nothing was begun."""


_REFUSALS = frozenset(
    {errno.EACCES, errno.EIO, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOSPC, errno.ENOTDIR}
    | {errno.EPERM, errno.EROFS}
)


def refusal(error: BaseException) -> StreamError | None:
    """What the system says of a file, such as that its name is too long; None of other errors.

    Merely asking whether there is such a file may be refused, wherever that is.
    """
    if isinstance(error, FileNotFoundError) and error.filename is None and not _has_folder():
        return StreamError("the current folder is not there any more; change to another one")
    if not isinstance(error, OSError) or error.errno not in _REFUSALS or not error.filename:
        return None
    return StreamError(f"{os.fsdecode(error.filename)} cannot be used: {error.strerror}")


def _has_folder() -> bool:
    """Whether the current folder is there still; POSIX lets it be taken away."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


@contextmanager
def refusals() -> Iterator[None]:
    """Turns what the system says of files into errors of ours, see `refusal`."""
    try:
        yield
    except OSError as error:
        ours = refusal(error)
        if ours is None:
            raise
        raise ours from error


def check_no_zero_byte(name: object) -> None:
    """Makes sure that a name is one that a system can look up, if it is a text or a path.

    Raises:
        UsageError: there is a zero byte in it, which ends a name for the system.
    """
    if isinstance(name, str | Path) and "\0" in str(name):
        raise UsageError(f"{str(name)!r} names nothing: a name cannot hold a zero byte")


def check_path(given: object, what: str) -> None:
    """Makes sure that something is a path, and not what was opened from one.

    Args:
        given: anything.
        what: it is to be the path of, in words.

    Raises:
        UsageError: it is none, is empty, or has a zero byte in it.
    """
    if not isinstance(given, str | os.PathLike):
        raise UsageError(
            f"{what}: a path is a text or a pathlib.Path, not {type(given).__name__}; give the "
            "name of a file"
        )
    if given == "":
        raise UsageError(f"{what}: the path is empty; name a file")
    check_no_zero_byte(given)


def first_line(error: BaseException) -> str:
    """What an error of another program says, in one line; its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def is_unread(error: OSError) -> bool:
    """Whether a pipe could not be written to as nobody reads it any more.

    Windows says "invalid argument" then.
    """
    windows = sys.platform == "win32" and error.errno == errno.EINVAL
    return windows or isinstance(error, BrokenPipeError)
