"""Where what was made once is kept from one start to the next: of models, and a page's key."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path


def cache_folder(name: str) -> Path:
    """The folder of that name among the user's caches, made if it is not there.

    Raises:
        OSError: it cannot be made or written into; `filename` says which.
    """
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = base / "stream-segmentation" / name
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(13, "Permission denied", str(folder))
    return folder


def prune(folder: Path, pattern: str, keep: int) -> None:
    """Removes all but the newest files of a pattern in a folder of `cache_folder`.

    A file that another process has removed meanwhile, or that cannot be removed, is passed over:
    it is tried again at the next start.
    """
    dated = []
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):
            dated.append((path.stat().st_mtime, path))
    for _, path in sorted(dated, reverse=True)[keep:]:
        with contextlib.suppress(OSError):
            path.unlink()
