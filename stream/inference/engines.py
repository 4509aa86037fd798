"""TensorRT's engines: kept per model and card, and announced before one is built."""

from __future__ import annotations

import ctypes
import hashlib
import sys
from pathlib import Path

from stream.cache import prune

_LIBRARY = "nvinfer_10.dll" if sys.platform == "win32" else "libnvinfer.so.10"
_KEPT = 32
"""Engines kept, of tens of megabytes each: a model has one for each part of its graph."""


def has_library() -> bool:
    """Whether TensorRT itself is found, where ONNX Runtime's provider looks for it."""
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:
        return False
    return True


def engine_options(folder: Path, path: Path) -> tuple[dict[str, str], str]:
    """The provider's options for one model, and what people should know before it is opened.

    Args:
        folder: where engines are kept.
        path: the model's file.

    Returns:
        Options, and a sentence where no engine of this model is kept yet, else "".
    """
    status = path.stat()
    told = f"{path.resolve()}\n{status.st_size}\n{status.st_mtime_ns}"
    prefix = f"{path.stem}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
    prune(folder, "*.engine", _KEPT)
    # Building an engine takes minutes; the next start finds it ready.
    options = {
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(folder),
        "trt_engine_cache_prefix": prefix,
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(folder),
    }
    # Without the library nothing is built; opening says so.
    if not has_library() or any(one.name.startswith(prefix) for one in folder.glob("*.engine")):
        return options, ""
    return options, (
        f"TensorRT builds the engine of {path.name} for this card: once, it may take a few minutes"
    )
