"""The program's standard output as a place that records go to."""

from __future__ import annotations

import os
import sys

from stream.sinks.base import Gone

_NUMBER = 1


class StandardOutput:
    """Writes to standard output, past whatever Python has in its own buffer for it.

    Raises:
        OSError: the program has none.
    """

    working = "standard output"

    def __init__(self) -> None:
        if sys.stdout is not None:
            sys.stdout.flush()
        self._file = os.dup(_NUMBER)
        self.closed = False

    def write(self, data: bytes) -> int:
        """Writes all of `data`.

        Raises:
            Gone: its reader has closed it.
            OSError: it cannot be written.
        """
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except BrokenPipeError:
            raise Gone from None
        return len(data)

    def checkpoint(self) -> None:
        """Nothing can be taken back."""

    def commit(self) -> None:
        """Lets go of it; it stays open for the rest of the program."""
        if not self.closed:
            self.closed = True
            os.close(self._file)

    def abandon(self) -> None:
        """Lets go of it."""
        self.commit()

    def explain(self, error: OSError) -> str:
        """Why writing failed, as the beginning of a sentence."""
        return f"standard output could not be written ({error.strerror or error})"
