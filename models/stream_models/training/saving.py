"""What a run keeps to go on with: written whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from stream.disk.files import write_whole


def save_whole(path: Path, content: dict[str, Any]) -> None:
    """Writes what `torch.load` reads, in place of what was there.

    Torch itself tells a full disk from no other fault, and leaves there what it has begun.

    Args:
        path: the file.
        content: weights, and plain values.

    Raises:
        OSError: it cannot be written, with the file's name; what was there stays.
    """
    written = io.BytesIO()
    torch.save(content, written)
    try:
        write_whole(path, written.getvalue(), overwrite=True)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
