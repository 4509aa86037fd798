"""This machine's disk as fsspec sees it, with a word on folders that it would pass over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fsspec.implementations.local import LocalFileSystem


class Disk(LocalFileSystem):  # type: ignore[misc]  # fsspec says no types
    """Files here, of which those are told that cannot be looked for.

    fsspec leaves folders out that may not be read, and says nothing.

    Args:
        left_out: is told, in a sentence, of each folder that cannot be looked into.
    """

    cachable = False

    def __init__(self, left_out: Callable[[str], None]) -> None:
        super().__init__()
        self._left_out = left_out
        self._told: set[str] = set()

    def ls(self, path: str, detail: bool = False, **more: Any) -> list[Any]:
        """What lies in a folder; nothing where it may not be read."""
        try:
            return list(super().ls(path, detail=detail, **more))
        except PermissionError as error:
            if path not in self._told:
                self._told.add(path)
                why = error.strerror or "not permitted"
                self._left_out(f"{path} cannot be looked into ({why}), and is left out")
            return []
