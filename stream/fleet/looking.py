"""A look at a ledger that leaves nothing beside it, also while a driver writes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

from stream.errors import SinkError

_TRIES = 10
"""So often a ledger is copied that was written anew meanwhile."""

_HEADER = 32  # bytes at the write-ahead log's beginning; others each time that it begins anew


class Copy:
    """A copy of a ledger as it was at one moment.

    SQLite itself makes files beside what it reads, which only who may write removes, and cannot
    read without them in a folder that nobody may write to.

    Args:
        ledger: its path.

    Attributes:
        readable: what is to be opened, and how SQLite is to open it: where a driver writes
            faster than its ledger can be copied, that itself, beside which all files are by then.

    Raises:
        SinkError: it cannot be read, or there is no room for the copy.
    """

    def __init__(self, ledger: Path) -> None:
        try:
            self._folder = TemporaryDirectory(prefix="stream-ledger-")
            try:
                copy = _copied(ledger, Path(self._folder.name) / "ledger.sqlite")
            except OSError:
                self._folder.cleanup()
                raise
        except OSError as error:
            raise SinkError(f"the ledger {ledger} cannot be read: {error.strerror}") from error
        self.readable = (ledger, "ro") if copy is None else (copy, "rw")

    def remove(self) -> None:
        """It is of no use any more."""
        self._folder.cleanup()


def _copied(ledger: Path, copy: Path) -> Path | None:
    for _ in range(_TRIES):
        before = _state(ledger)
        copyfile(ledger, copy)
        _log(copy).unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            copyfile(_log(ledger), _log(copy))
        # What the log holds counts, however much of it was in the database by then: so it is one
        # moment's unless the log began anew, or was there only before or only behind.
        if before == _state(ledger):
            return copy
    return None


def _log(path: Path) -> Path:
    return Path(f"{path}-wal")


def _state(path: Path) -> bytes | tuple[int, int]:
    """Which log there is; where there is none, which state of the database."""
    try:
        with _log(path).open("rb") as log:
            return log.read(_HEADER)
    except FileNotFoundError:
        about = path.stat()
        return about.st_size, about.st_mtime_ns
