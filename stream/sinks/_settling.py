"""Files that are written, and wait to be on the disk itself."""

from __future__ import annotations

import contextlib
from collections import deque
from pathlib import Path

from stream.disk.files import sync_file, sync_folder


class Settling:
    """Waits for files in the order in which they were written."""

    def __init__(self) -> None:
        """None waits."""
        self._waiting: deque[Path] = deque()

    def add(self, path: Path) -> None:
        """Takes a file that was written."""
        self._waiting.append(path)

    def down_to(self, left: int) -> None:
        """Waits until all but the last few are on the disk itself.

        Raises:
            OSError: the disk does not take them.
        """
        while len(self._waiting) > left:
            path = self._waiting.popleft()
            # Somebody may have taken it away meanwhile; a pipe has nothing on a disk.
            with contextlib.suppress(FileNotFoundError):
                if path.is_file():
                    sync_file(path)

    def end(self) -> None:
        """Waits for all, and for their names in the folders of those that still waited.

        Raises:
            OSError: the disk does not take them.
        """
        folders = {path.parent for path in self._waiting}
        self.down_to(0)
        for folder in folders:
            sync_folder(folder)
