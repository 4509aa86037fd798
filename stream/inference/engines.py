"""TensorRT's engines: kept per model and card, and announced before one is built."""

from __future__ import annotations

import ctypes
import hashlib
import sys
from pathlib import Path

from stream.errors import ModelError
from stream.inference.kept_model import identity
from stream.system.cache import prune, used

_LIBRARY = "nvinfer_10.dll" if sys.platform == "win32" else "libnvinfer.so.10"
_KEPT, _MOST = 32, 4 * 2**30
"""Engines kept, of tens of megabytes each, and their bytes: a model has one for each part of its
graph."""


def has_library() -> bool:
    """Whether TensorRT itself is found, where ONNX Runtime's provider looks for it."""
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:
        return False
    return True


def engine_options(folder: Path, card: str, path: Path) -> tuple[dict[str, str], str]:
    """The provider's options for one model, and what people should know before it is opened.

    Args:
        folder: where engines are kept.
        card: what an engine is for besides the model: the card, and the release of ONNX Runtime.
        path: the model's file.

    Returns:
        Options, and a sentence where no engine of this model is kept yet, else "".

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        told = "\n".join([*identity(path), card])
    except OSError as error:
        raise ModelError(f"cannot read the model {str(path)!r}: {error.strerror}") from error
    prefix = f"{path.stem}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
    mine = [one for one in folder.iterdir() if one.name.startswith(prefix)]
    for one in mine:
        used(one)
    prune(folder, "*.engine", _KEPT, _MOST)
    # What shapes each of them is for.
    prune(folder, "*.profile", _KEPT)
    # Building an engine takes minutes; the next start finds it ready.
    options = {
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(folder),
        "trt_engine_cache_prefix": prefix,
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(folder),
    }
    # Without the library nothing is built; opening says so.
    if not has_library() or any(one.suffix == ".engine" for one in mine):
        return options, ""
    return options, (
        f"TensorRT builds the engine of {path.name} for this card: once, it may take a few minutes"
    )
