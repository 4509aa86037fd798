"""An ONNX file's content with the weights in it that it left in files beside it.

What is made of a model reads and changes its weights, and is opened from elsewhere. The field
numbers are those of `TensorProto` in ONNX's onnx.proto3.
"""

from __future__ import annotations

from pathlib import Path

from stream.inference.onnx_ends import size_of, weights_beside
from stream.inference.onnx_fields import fields, text
from stream.inference.onnx_graph import WEIGHT, Graph, with_graph
from stream.inference.onnx_writer import encoded_bytes

_RAW, _BESIDE, _WHERE = 9, 13, 14
"""A tensor's bytes; which of another file's they are; and that they are there."""
_MOST = 2**31 - 1
"""Bytes of a file in this format: those of larger models can be in files beside it only."""


def whole_model(path: Path) -> bytes:
    """A model's content, with the weights of files beside it unless it would be too large then.

    Args:
        path: a file whose weights are all there; see `stream.inference.onnx_ends.check_weights`.

    Raises:
        ModelError: it cannot be read.
        OSError: likewise.
        ValueError: it is not in the format of an ONNX file.
    """
    model = path.read_bytes()
    if not weights_beside(path) or size_of(path) > _MOST:
        return model
    return with_graph(model, lambda graph: _edited(graph, path.parent))


def _edited(graph: Graph, folder: Path) -> bytes:
    files: dict[str, memoryview] = {}
    return b"".join(
        encoded_bytes(WEIGHT, _inside(part.content, folder, files))
        if part.number == WEIGHT
        else part.raw
        for part in graph.parts
    )


def _inside(tensor: memoryview, folder: Path, files: dict[str, memoryview]) -> bytes:
    """A TensorProto that holds its bytes, with what was read of files before."""
    kept: list[bytes | memoryview] = []
    told: dict[str, str] = {}
    for number, value, raw in fields(tensor):
        if number == _BESIDE and isinstance(value, memoryview):
            entry = {at: text(one) for at, one, _ in fields(value)}
            told[entry.get(1, "")] = entry.get(2, "")
        elif number != _WHERE:
            kept.append(raw)
    if "location" not in told:
        return bytes(tensor)
    name = told["location"]
    if name not in files:
        files[name] = memoryview((folder / name).read_bytes())
    start = int(told.get("offset", 0))
    end = start + int(told["length"]) if "length" in told else None
    return b"".join([*kept, encoded_bytes(_RAW, bytes(files[name][start:end]))])
