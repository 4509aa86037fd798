"""The program's standard output as a place that records and videos go to."""

from __future__ import annotations

import errno
import os
import sys

from stream.errors import SinkError, is_unread
from stream.sinks._one_way import OneWay
from stream.sinks.base import Gone

_NUMBER = 1


class StandardOutput(OneWay):
    """Writes to standard output, past whatever Python has in its own buffer for it.

    Args:
        what: is to be written, for an error.

    Raises:
        SinkError: the program has none, or it cannot be written to.
    """

    def __init__(self, what: str) -> None:
        super().__init__("standard output")
        try:
            if sys.stdout is not None:
                sys.stdout.flush()
            os.write(_NUMBER, b"")  # which fails where a closed one has a stand-in
            self._file = os.dup(_NUMBER)
        except OSError as error:
            if error.errno == errno.EBADF:
                raise SinkError(f"there is no standard output to write {what} to") from error
            raise SinkError(
                f"standard output cannot be written: {error.strerror or error}"
            ) from error

    def write(self, data: bytes) -> int:
        """Writes all of `data`.

        Raises:
            Gone: its reader has closed it.
            OSError: it cannot be written.
        """
        if self.error is not None:
            raise self.error
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            self.error = error
            if is_unread(error):
                raise Gone from None
            raise
        self.written += len(data)
        return len(data)

    def commit(self) -> None:
        """Lets go of it; it stays open for the rest of the program."""
        if not self.closed:
            self.closed = True
            os.close(self._file)

    def abandon(self, *, keep: bool = True) -> None:
        """Lets go of it."""
        self.commit()

    def explain(self, error: OSError) -> str:
        """Why writing failed, as the beginning of a sentence."""
        return f"standard output could not be written ({error.strerror or error})"
