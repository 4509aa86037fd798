"""Apple's CoreML, which ONNX Runtime's builds for macOS carry: graphics and neural processor.

Nobody has seen it run a model of ours yet. The options are those of ONNX Runtime's documentation of
the provider.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from stream.errors import ModelError
from stream.inference.kept_model import identity
from stream.inference.nvidia import NONE, Obstacle
from stream.system.cache import cache_folder, used

OPTIONS = {
    "ModelFormat": "MLProgram",  # which keeps float32; the older one rounds to halves
    "MLComputeUnits": "ALL",
    # Shapes that depend on the number of objects are taken otherwise, and fail as they come.
    "RequireStaticInputShapes": "1",
}

FOLDER = "coreml"
"""Among the user's caches."""

_KEPT = 16
"""Compiled models kept: one has one for each size of input."""


def cache_options(release: str, path: Path, fixed: Mapping[str, int]) -> dict[str, str]:
    """Where what is compiled of a model for one size of input is kept.

    In a folder for each, as ONNX Runtime finds it again by the model's path alone and does not
    look whether another file lies there now, or whether it was compiled for another size.

    Args:
        release: of ONNX Runtime.
        path: the model's file.
        fixed: sides of the input by name.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        told = "\n".join([*identity(path), release, *map(str, sorted(fixed.items()))])
    except OSError as error:
        raise ModelError(f"cannot read the model {str(path)!r}: {error.strerror}") from error
    try:
        folder = cache_folder(FOLDER)
        mine = folder / f"{path.stem}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
        mine.mkdir(exist_ok=True)
    except OSError:  # it is compiled anew each time
        return {}
    used(mine)
    with suppress(OSError):  # another process removes the same
        dated = sorted(folder.iterdir(), key=lambda one: one.stat().st_mtime)
        for one in dated[:-_KEPT]:
            shutil.rmtree(one, ignore_errors=True)
    return {"ModelCacheDirectory": str(mine)}


def failure(message: str) -> Obstacle:
    """Why CoreML failed, and what to do, of its own words; `NONE` where these say no more."""
    if "compil" in message.lower() or ".mlmodel" in message:
        where = "Library/Caches/stream-segmentation"
        return (
            f"CoreML cannot compile or load the model ({message})",
            f"remove ~/{where}/{FOLDER}, where what a killed run left may lie, or use "
            "--provider cpu",
        )
    return NONE
