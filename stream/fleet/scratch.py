"""A folder for what a task has on its way, of which a killed worker leaves nothing for good.

However far one has come with making or removing it when it is killed, the folder holds a file whose
lock says that nobody has it any more, or nothing: that file comes first and goes last.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stream.fleet.lock import lock

_PREFIX = "stream-fleet-"
_LOCK = "in-use"


@contextmanager
def scratch() -> Iterator[Path]:
    """A new folder on this machine, for as long as the block lasts.

    Raises:
        OSError: it cannot be made.
    """
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        try:
            file = (folder / _LOCK).open("a+", encoding="utf-8")
        except FileNotFoundError:
            continue  # somebody who tidies up took it for a dead one's
        except OSError:
            folder.rmdir()
            raise
        try:
            with file:
                # Also between making and locking that may have happened.
                if lock(file) and (folder / _LOCK).exists():
                    yield folder
                    return
        finally:
            _remove(folder)


def tidy() -> None:
    """Removes the folders of processes that have ended without doing so themselves."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        # Others' may not be opened, nor removed.
        with suppress(OSError):
            try:
                with (folder / _LOCK).open("r+", encoding="utf-8") as file:
                    dead = lock(file, unknown=False)
                    if dead and sys.platform != "win32":
                        _remove(folder)
            except FileNotFoundError:
                # One that is being made, or whose maker is dead: whoever makes one makes another.
                folder.rmdir()
            else:
                if dead and sys.platform == "win32":  # where what is open stays
                    _remove(folder)


def _remove(folder: Path) -> None:
    """Removes all that is in a folder, at last what says whether it is in use, and the folder."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name == _LOCK:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink()
        if all(path.name == _LOCK for path in folder.iterdir()):
            (folder / _LOCK).unlink(missing_ok=True)
            folder.rmdir()
