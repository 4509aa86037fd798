"""Where what was made once is kept from one start to the next: of models, and a page's key."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import time
from pathlib import Path

_DAY = 24 * 3600
_UNUSED = 60 * _DAY
"""Seconds after which what nobody used is removed: of a release that was replaced, say."""
_ABANDONED = 3600
"""Seconds after which what was being written must be of a process that was killed."""


def cache_path(name: str) -> Path:
    """The folder of that name among the user's caches, whether it is there or not.

    Raises:
        OSError: nobody says where this user's caches are.
    """
    if sys.platform == "win32":
        told, usual = os.environ.get("LOCALAPPDATA", ""), ("AppData", "Local")
    elif sys.platform == "darwin":
        told, usual = "", ("Library", "Caches")
    else:
        told, usual = os.environ.get("XDG_CACHE_HOME", ""), (".cache",)
    # A relative one would be another in each folder; XDG's rules have it ignored.
    base = Path(told) if told and Path(told).is_absolute() else _home().joinpath(*usual)
    return base / "stream-segmentation" / name


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        # A container's user who is a number and nothing else.
        raise FileNotFoundError(errno.ENOENT, "this user has no home folder", "HOME") from error


def cache_folder(name: str) -> Path:
    """The folder of that name among the user's caches, made if it is not there.

    Raises:
        OSError: it cannot be made or written into; `filename` says which.
    """
    folder = cache_path(name)
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))
    return folder


def used(path: Path) -> None:
    """Notes that a file of a cache was used, so that `prune` leaves it."""
    with contextlib.suppress(OSError):  # it may be read only
        os.utime(path)


def prune(folder: Path, pattern: str, keep: int, most: float = float("inf")) -> None:
    """Removes files of a pattern in a folder of `cache_folder`, but for what was used last.

    What nobody used for two months goes too, and what processes that were killed left half written.
    A file that another process has removed meanwhile, or that cannot be removed, is passed over:
    it is tried again at the next start.

    Args:
        folder: where they lie.
        pattern: of their names, such as "*.onnx".
        keep: so many files stay.
        most: and so many bytes; the newest one stays however large it is.
    """
    now, dated = time.time(), []
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):
            about = path.stat()
            dated.append((about.st_mtime, about.st_size, path))
    total = 0
    for place, (when, size, path) in enumerate(sorted(dated, reverse=True)):
        total += size
        if place >= keep or now - when > _UNUSED or (place and total > most):
            with contextlib.suppress(OSError):
                path.unlink()
    for path in folder.glob("*.part"):
        with contextlib.suppress(OSError):
            if now - path.stat().st_mtime > _ABANDONED:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
