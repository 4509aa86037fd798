"""Locks that the system lets go of however a process ends: one driver at a time for a ledger."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from stream.errors import OutOfReachError, SinkError


@contextmanager
def only_driver(ledger: Path) -> Iterator[None]:
    """Keeps other drivers from a ledger for as long as the block lasts, or this process.

    The system lets go of the lock however the process ends. The file beside the ledger stays, as
    another driver may have it open.

    Args:
        ledger: its path.

    Raises:
        OutOfReachError: another driver has it.
        SinkError: the file cannot be written.
    """
    path = ledger.with_name(f"{ledger.name}-driver")
    try:
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise SinkError(f"the ledger {ledger} cannot be used: {error.strerror}") from error
    with file:
        if not lock(file):
            file.seek(0)
            who = file.read(200).strip() or "another process"
            raise OutOfReachError(
                f"{who} is at work with the ledger {ledger}; wait for it, or name another output "
                "or --ledger"
            )
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}\n")
        file.flush()
        yield


def lock(file: IO[str], *, unknown: bool = True) -> bool:
    """Whether the lock of a file could be had, for as long as it is open.

    Args:
        file: to be locked.
        unknown: what is said where the disk knows no locks, as some network disks do not.
    """
    if sys.platform == "win32":
        import msvcrt

        try:
            file.seek(1 << 20)  # beyond what is written, which others may read
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
    else:
        import errno
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return unknown and error.errno not in (errno.EAGAIN, errno.EACCES)
    return True
