"""Keras weight files (.h5), read without Keras."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from stream.errors import ModelError, NoModelError
from stream.types import Array
from stream_export.checkpoints.pickles import Content
from stream_export.checkpoints.weights import Weights
from stream_export.registry import need_extra

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
"""How an HDF5 file begins."""

_LARGEST = 1 << 30
"""Bytes of one weight: a short file may declare one of any size, compressed or not written."""

# Keras' names of a layer's parts in torch's.
_PARTS = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def read_keras(path: Path) -> Weights:
    """Reads what Keras' `save_weights` or `save` wrote, layers of nested models included.

    Args:
        path: an HDF5 file.

    Returns:
        The weights as `layer.part` with torch's names of the parts (weight, bias, running_mean,
        running_var) and torch's order of axes: convolutions [out, in, kh, kw] (transposed ones
        [in, out, kh, kw]) and dense layers [out, in].

    Raises:
        ModelError: the file is missing or damaged, points to other files, or holds no Keras
            weights.
        UsageError: h5py is not installed.
    """
    need_extra("h5py")
    import h5py

    if not path.is_file():
        raise NoModelError(f"{path}: there is no such file")
    found: dict[str, Array] = {}

    def visit(name: str, item: Content) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer_weights/"):
            parts = name.split("/")
            last = parts[-1].split(":")[0]
            # Parts of other layers than ours are kept, so that nobody leaves them out unseen.
            if len(parts) > 1 and (last in _PARTS or item.dtype.kind == "f"):
                found[f"{parts[-2]}.{_PARTS.get(last, last)}"] = _value(path, name, item)

    try:
        with h5py.File(path, "r") as file:
            # Links to other files are not followed by this.
            file.visititems(visit)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: it is no HDF5 file, damaged or cut off ({error})") from error
    if found and all(re.fullmatch(r"vars\.\d+", name) for name in found):
        raise ModelError(
            f"{path}: it is of Keras 3, whose files do not name weights by layer as Matterport's "
            "do; save them with Keras 2 (TF_USE_LEGACY_KERAS=1), by save_weights('NAME.h5')"
        )
    if not found:
        raise ModelError(
            f"{path}: it holds no weights by layer, as Keras 1 and 2 write them with save_weights"
        )
    return Weights(path, found)


def _value(path: Path, name: str, item: Content) -> Array:
    """A weight with torch's order of axes."""
    if item.external or item.is_virtual:
        raise ModelError(f"{path}: the weight {name!r} points to another file, which is not read")
    if item.dtype.kind != "f" or item.ndim > 4:
        raise ModelError(f"{path}: the weight {name!r} is no array of real numbers")
    if math.prod(item.shape) * item.dtype.itemsize > _LARGEST:
        raise ModelError(f"{path}: the weight {name!r} claims a shape of {list(item.shape)}")
    value = np.asarray(item[()])
    if value.ndim == 4:
        return value.transpose(3, 2, 0, 1)
    return value.T if value.ndim == 2 else value
