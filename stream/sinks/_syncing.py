"""What was written is pushed to the disk itself while writing goes on."""

from __future__ import annotations

import os
import threading
import time

# In seconds: what a pulled plug costs at most, besides the fragment being written and what a slow
# disk takes to store what came before.
_EVERY = 2.0


class Syncing:
    """Pushes a file to the disk every few seconds, on a thread of its own.

    A disk takes tens of milliseconds for that, a busy one seconds, for which decoding, inference
    and encoding would stand still one after the other, as each has room for some frames only.

    Args:
        file: descriptor of a regular file; stays open until `finish`.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._last = time.monotonic()
        self._thread: threading.Thread | None = None
        self._error: OSError | None = None

    def due(self) -> bool:
        """Has what was written so far pushed, if it is time for that and nothing is under way.

        Returns:
            Whether it was begun now.

        Raises:
            OSError: the disk did not take what was pushed before.
        """
        self._said()
        now = time.monotonic()
        if now - self._last <= _EVERY or (self._thread is not None and self._thread.is_alive()):
            return False
        self._last = now
        self._thread = threading.Thread(target=self._push, name="sync", daemon=True)
        self._thread.start()
        return True

    def finish(self) -> None:
        """Waits until nothing is under way, so that the file may be closed.

        Raises:
            OSError: the disk did not take what was pushed.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._said()

    def _push(self) -> None:
        try:
            getattr(os, "fdatasync", os.fsync)(self._file)
        except OSError as error:
            self._error = error

    def _said(self) -> None:
        # Once, as systems do: who asks again is told of what was written since.
        error, self._error = self._error, None
        if error is not None:
            raise error
