"""Mask R-CNN on moving pictures.

The public interface is small: `Segmenter` finds the objects of one picture, `Instances` holds
them. Everything else is behind the command `stream`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from stream.version import __version__

if TYPE_CHECKING:
    from stream.inference.segmenter import Segmenter
    from stream.instances import Instances

__all__ = ["Instances", "Segmenter", "__version__"]

# ONNX Runtime reports its use to its makers from the moment it is imported; ours is nobody's
# business but the user's. Whoever wants it on sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that `stream --help` does not wait for ONNX Runtime.
    if name == "Segmenter":
        from stream.inference.segmenter import Segmenter

        return Segmenter
    if name == "Instances":
        from stream.instances import Instances

        return Instances
    raise AttributeError(f"module 'stream' has no attribute {name!r}")
