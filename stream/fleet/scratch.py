"""A folder for what a task has on its way, of which a killed worker leaves nothing for good."""

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
        with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name:
            mark = Path(name) / _LOCK
            with mark.open("a+", encoding="utf-8") as file:
                # Between making and locking it somebody who tidies up may have taken it.
                if lock(file) and mark.exists():
                    yield Path(name)
                    return


def tidy() -> None:
    """Removes the folders of processes that have ended without doing so themselves."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        dead = False
        # Others' may not be opened; one that has no lock yet is being made.
        with suppress(OSError), (folder / _LOCK).open("r+", encoding="utf-8") as file:
            dead = lock(file, unknown=False)
            if dead:
                shutil.rmtree(folder, ignore_errors=True)
        if sys.platform == "win32" and dead:  # where what was open stayed
            shutil.rmtree(folder, ignore_errors=True)
