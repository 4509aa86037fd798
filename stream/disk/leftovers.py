"""What a killed run has left beside a file: known for sure, and removed once that file is whole.

A file that is not finished yet is marked and locked by whoever writes it. The system lets go of the
lock however a process ends; the mark, an attribute with the file's own number, is on no copy of it.

A file that is written in its own place has another mark until it is whole: nothing is removed for
that, but what a killed run has left is not taken for finished, however much it looks like it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_MARK = "user.stream.unfinished"
_IN_PLACE = "user.stream.begun"

if sys.platform == "linux":
    import fcntl

    def mark(file: int) -> None:
        """Says that a file is ours and not finished; nothing where the disk knows no such words."""
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.setxattr(file, _MARK, _number(file))

    def mark_in_place(file: int) -> None:
        """Says that a file under its own name is not whole yet; nothing where the disk cannot."""
        with suppress(OSError):
            os.setxattr(file, _IN_PLACE, _number(file))

    def unmark(file: int) -> None:
        """Says that a file is finished."""
        for name in (_MARK, _IN_PLACE):
            with suppress(OSError):
                os.removexattr(file, name)

    def is_begun(path: Path) -> bool:
        """Whether a file is known to be what a run has begun and not ended; False of a copy."""
        try:
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            return os.getxattr(file, _IN_PLACE) == _number(file)
        except OSError:
            return False
        finally:
            os.close(file)

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

    def mark_in_place(file: int) -> None:
        """Nothing is marked here."""

    def unmark(file: int) -> None:
        """Nothing is marked here."""

    def is_begun(path: Path) -> bool:
        """Nothing is known of that here."""
        return False

    def remove_dead(paths: Iterable[Path]) -> None:
        """Nothing is known to be left."""
