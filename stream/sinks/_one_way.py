"""Where bytes go from which nothing comes back: a pipe, a process."""

from __future__ import annotations

import errno
from pathlib import Path

from stream.sinks._destination import Destination


class OneWay(Destination):
    """A place for a muxer that takes bytes as they come; whoever derives from it writes them.

    Attributes:
        path, working: what it is called in errors.
        error: why writing failed, if it did.
        written: bytes handed on so far.
        closed: whether it was let go of.
    """

    def __init__(self, name: str) -> None:
        """Nothing was written yet.

        Args:
            name: what to call it in errors, without secrets.
        """
        self.path = self.working = Path(name)
        self.error: OSError | None = None
        self.written = 0
        self.closed = False

    def seek(self, offset: int, whence: int = 0) -> int:
        """Never asked for: see `seekable`."""
        raise OSError(errno.ESPIPE, "what was written is written")

    def tell(self) -> int:
        """The place of the next write, in bytes from the beginning."""
        return self.written

    def seekable(self) -> bool:
        """There is no way back, not even where it is a file: others may write to it too."""
        return False

    def checkpoint(self) -> None:
        """Nothing can be taken back."""
