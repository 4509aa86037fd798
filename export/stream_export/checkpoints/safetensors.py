"""Weights in the safetensors format: a header in JSON, then raw numbers; nothing can be executed.

The format: eight bytes with the header's length (little endian), the header, then the numbers that
it points into (huggingface.co/docs/safetensors).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import BinaryIO

from stream.errors import ModelError
from stream_export.checkpoints.pickles import Content, guarded

_LONGEST = 100_000_000
"""Bytes of a header, the format's own limit."""

_TYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64",
    "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as this format's do, whatever it is called."""
    try:
        with path.open("rb") as file:
            head = file.read(9)
        size = path.stat().st_size
    except OSError:
        return False
    return len(head) == 9 and head[8:] == b"{" and 2 <= _length(head) <= min(size, _LONGEST)


def read_safetensors(path: Path) -> dict[str, Content]:
    """Reads all tensors by name.

    Raises:
        ModelError: the file is missing, damaged or cut short.
    """
    return guarded(path, "the safetensors file", _tensors)  # type: ignore[no-any-return]


def _tensors(file: BinaryIO) -> dict[str, Content]:
    import torch

    header = json.loads(file.read(_length(file.read(8))))
    content = bytearray(file.read())
    found = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] not in _TYPES:
            raise ModelError(
                f"{file.name}: the weight {name!r} is of type {entry['dtype']}, which is not read"
            )
        kind = getattr(torch, _TYPES[entry["dtype"]])
        shape = [int(edge) for edge in entry["shape"]]
        begin, end = entry["data_offsets"]
        count = math.prod(shape)
        if not 0 <= begin <= end <= len(content) or end - begin != count * kind.itemsize:
            raise ValueError(name)
        if not count:
            found[name] = torch.zeros(shape, dtype=kind)
            continue
        # A copy, since numbers may begin anywhere.
        part = content[begin:end]
        found[name] = torch.frombuffer(part, dtype=kind).reshape(shape)
    return found


def _length(head: bytes) -> int:
    return int.from_bytes(head[:8], "little")
