"""Where an export goes: never over what was there unasked, and only when it is whole."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from stream.disk.files import sync_file, sync_folder
from stream.errors import ModelError, UsageError


def check_output(output: Path, *inputs: Path, overwrite: bool) -> None:
    """Refuses an output before any work is done for it.

    Args:
        output: the file to be written.
        inputs: files that are read for it.
        overwrite: whether a file of that name may be replaced.

    Raises:
        UsageError: it is an input, a folder, a device or no .onnx, or it exists and is not to be
            replaced.
    """
    for path in inputs:
        # Folders above the output are made later, so `new/../in.onnx` is `in.onnx` too.
        if _same(output, path):
            raise UsageError(f"{output}: it is what is read; give -o another name")
    try:
        mode = output.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = None
    except (OSError, ValueError) as error:
        raise UsageError(f"{str(output)!r} cannot be written: {error}") from error
    if mode is not None and stat.S_ISDIR(mode):
        raise UsageError(f"{output}: it is a folder; give -o the name of a file, such as mine.onnx")
    if mode is not None and not stat.S_ISREG(mode):
        raise UsageError(f"{output}: it is no ordinary file; give -o the name of one")
    if output.suffix.lower() != ".onnx":
        raise UsageError(f"{output}: what is written is ONNX; give -o a name such as mine.onnx")
    if mode is not None and not overwrite:
        raise UsageError(f"{output}: it exists; --overwrite replaces it, or give -o another name")


def _same(one: Path, other: Path) -> bool:
    try:
        one, other = one.resolve(), other.resolve()
        return one == other or (one.exists() and other.exists() and one.samefile(other))
    except (OSError, ValueError, RuntimeError):
        return False  # no name of a file; whoever opens it says why


@contextlib.contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """A new file beside the output that takes its name when the block ends well, else goes.

    A link is followed, so that what it points to is replaced and the link stays.

    Args:
        output: the file; folders above it are made.

    Raises:
        ModelError: it cannot be written.
    """
    try:
        target = output.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(".part", f".{target.name[:80]}.", target.parent)
        os.close(handle)
    except (OSError, ValueError) as error:
        raise ModelError(f"{output}: it cannot be written ({error})") from error
    partial = Path(name)
    try:
        yield partial
        # mkstemp's file is its owner's alone; this one is like any that a program writes.
        mask = os.umask(0)
        os.umask(mask)
        partial.chmod(0o666 & ~mask)
        sync_file(partial)
        partial.replace(target)
        sync_folder(target.parent)
    except (OSError, ValueError) as error:
        raise ModelError(f"{output}: it cannot be written ({error})") from error
    finally:
        partial.unlink(missing_ok=True)
