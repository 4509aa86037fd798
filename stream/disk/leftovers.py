"""What a killed run has left beside a file: known for sure, and removed once that file is whole.

A file that is not finished yet is marked and locked by whoever writes it. The system lets go of the
lock however a process ends; the mark, an attribute with the file's own number, is on no copy of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_MARK = "user.stream.unfinished"

if sys.platform == "linux":
    import fcntl

    def mark(file: int) -> None:
        """Says that a file is ours and not finished; nothing where the disk knows no such words."""
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.setxattr(file, _MARK, _number(file))

    def unmark(file: int) -> None:
        """Says that a file is finished."""
        with suppress(OSError):
            os.removexattr(file, _MARK)

    def remove_dead(paths: Iterable[Path]) -> None:
        """Removes those files that are marked, and that nobody writes any more."""
        for path in paths:
            with suppress(OSError):
                file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    if os.getxattr(file, _MARK) == _number(file):
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        path.unlink()
                finally:
                    os.close(file)

    def _number(file: int) -> bytes:
        about = os.fstat(file)
        return f"{about.st_dev}:{about.st_ino}".encode()

else:

    def mark(file: int) -> None:
        """Nothing is marked here."""

    def unmark(file: int) -> None:
        """Nothing is marked here."""

    def remove_dead(paths: Iterable[Path]) -> None:
        """Nothing is known to be left."""
