"""TensorFlow's frozen graphs (`GraphDef`, .pb), read without TensorFlow.

Only what a converter needs is read: nodes, their inputs and their constants. The wire format is
Protocol Buffers' (developers.google.com/protocol-buffers/docs/encoding); field numbers are those of
tensorflow/core/framework: graph.proto, node_def.proto, attr_value.proto, tensor.proto,
tensor_shape.proto and types.proto. Nothing in a file is ever executed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stream.errors import ModelError
from stream.types import Array

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# types.proto, as far as constants of frozen networks use it.
_TYPES: dict[int, type[np.generic]] = {
    1: np.float32,
    2: np.float64,
    3: np.int32,
    4: np.uint8,
    6: np.int8,
    9: np.int64,
    10: np.bool_,
    19: np.float16,
}
# TensorProto's field of packed values for each of these types, for tensors without raw content.
_VALUE_FIELDS = {1: 5, 2: 6, 3: 7, 4: 7, 6: 7, 9: 10, 10: 11, 19: 13}

_LARGEST = 1 << 28
"""Elements of one constant: a short file may declare a tensor of any size by its shape alone."""


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One node: its operation, the names of its inputs, and its value where it is a constant."""

    op: str
    inputs: tuple[str, ...]
    value: Array | None = None


def looks_like_graphdef(head: bytes) -> bool:
    """Whether a file that starts with these bytes (16 or more) may be a `GraphDef`.

    It starts with field 1, a node, which starts with field 1, its name.
    """
    try:
        fields = _Reader(memoryview(head))
        if fields.varint() != (1 << 3 | _BYTES):
            return False
        fields.varint()
        if fields.varint() != (1 << 3 | _BYTES):
            return False
        name = head[fields.at + 1 : fields.at + 1 + min(fields.varint(), 8)]
    except _Malformed:
        return False
    return bool(name) and all(33 <= byte < 127 for byte in name)


def read_graphdef(path: Path) -> dict[str, GraphNode]:
    """Reads a frozen graph.

    Args:
        path: a `GraphDef` in binary form, such as `frozen_inference_graph.pb`.

    Returns:
        The nodes by name, in file order. Constants of other types than numbers have no value.

    Raises:
        ModelError: the file cannot be read, is cut off, or is no such graph.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: it cannot be read ({error.strerror})") from error
    if not looks_like_graphdef(content[:64]):
        raise ModelError(f"{path}: it is not a TensorFlow graph (GraphDef)")
    nodes: dict[str, GraphNode] = {}
    try:
        for field, value in _fields(memoryview(content)):
            if field == 1:
                name, node = _node(_message(value))
                nodes[name] = node
    except _Malformed as error:
        raise ModelError(f"{path}: it is damaged or cut off ({error})") from error
    return nodes


class _Malformed(Exception):  # noqa: N818 - it never leaves this module
    """The bytes are no message of the expected kind."""


class _Reader:
    """Takes numbers and byte strings off a message, never past its end."""

    def __init__(self, content: memoryview) -> None:
        self.content = content
        self.at = 0

    def varint(self) -> int:
        result = shift = 0
        while True:
            if self.at >= len(self.content) or shift > 63:
                raise _Malformed("a number runs past its end")
            byte = self.content[self.at]
            self.at += 1
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                return result
            shift += 7

    def take(self, count: int) -> memoryview:
        if count > len(self.content) - self.at:
            raise _Malformed("a field runs past the end")
        self.at += count
        return self.content[self.at - count : self.at]


def _fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a message: number and value, a number or the bytes."""
    reader = _Reader(content)
    while reader.at < len(content):
        key = reader.varint()
        kind = key & 7
        if kind == _VARINT:
            yield key >> 3, reader.varint()
        elif kind == _BYTES:
            yield key >> 3, reader.take(reader.varint())
        elif kind in (_FIXED64, _FIXED32):
            yield key >> 3, reader.take(8 if kind == _FIXED64 else 4)
        else:
            raise _Malformed(f"a field of unknown kind {kind}")


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise _Malformed("a number where a message is expected")
    return value


def _text(value: int | memoryview) -> str:
    try:
        return str(bytes(_message(value)), "utf-8")
    except UnicodeDecodeError as error:
        raise _Malformed("a name that is no text") from error


def _node(content: memoryview) -> tuple[str, GraphNode]:
    name = op = ""
    inputs: list[str] = []
    attributes: list[memoryview] = []
    for field, value in _fields(content):
        if field == 1:
            name = _text(value)
        elif field == 2:
            op = _text(value)
        elif field == 3:
            inputs.append(_text(value))
        elif field == 5:
            attributes.append(_message(value))
    if not name or not op:
        raise _Malformed("a node without a name")
    constant = _constant(name, attributes) if op == "Const" else None
    return name, GraphNode(op, tuple(inputs), constant)


def _constant(name: str, attributes: list[memoryview]) -> Array | None:
    """The tensor in a node's attribute `value`."""
    for attribute in attributes:
        entry = dict(_fields(attribute))
        if 1 not in entry or _text(entry[1]) != "value" or 2 not in entry:
            continue
        for field, value in _fields(_message(entry[2])):
            if field == 8:
                return _tensor(name, _message(value))
    return None


def _tensor(name: str, content: memoryview) -> Array | None:
    kind = 0
    shape: list[int] = []
    raw = memoryview(b"")
    values: list[tuple[int, int | memoryview]] = []
    for field, value in _fields(content):
        if field == 1 and isinstance(value, int):
            kind = value
        elif field == 2:
            shape = [
                _edge(_message(dim)) for number, dim in _fields(_message(value)) if number == 2
            ]
        elif field == 4:
            raw = _message(value)
        else:
            values.append((field, value))
    if kind not in _TYPES:
        return None
    count = math.prod(shape)
    if count > _LARGEST or len(shape) > 8:
        raise _Malformed(f"the constant {name!r} claims a shape of {shape}")
    dtype = np.dtype(_TYPES[kind])
    if len(raw):
        if len(raw) != count * dtype.itemsize:
            raise _Malformed(f"the constant {name!r} has {len(raw)} bytes for a shape of {shape}")
        return np.frombuffer(raw, dtype.newbyteorder("<")).reshape(shape)
    listed = [value for field, value in values if field == _VALUE_FIELDS[kind]]
    found = _listed(listed, kind, dtype)
    if len(found) > count or (count and not len(found)):
        raise _Malformed(f"the constant {name!r} has {len(found)} values for a shape of {shape}")
    # The last value stands for all that follow.
    full = np.empty(count, dtype)
    full[: len(found)] = found
    full[len(found) :] = found[-1:] if len(found) < count else found[:0]
    return full.reshape(shape)


def _listed(values: list[int | memoryview], kind: int, dtype: np.dtype[Any]) -> Array:
    """Values of a typed field, packed or one by one."""
    if kind in (1, 2):
        parts = [np.frombuffer(_whole(value, dtype.itemsize), dtype) for value in values]
        return np.concatenate(parts) if parts else np.empty(0, dtype)
    numbers: list[int] = []
    for value in values:
        if isinstance(value, int):
            numbers.append(value)
            continue
        reader = _Reader(value)
        while reader.at < len(value):
            numbers.append(reader.varint())
    if kind == 19:  # half_val holds the bits
        return np.array(numbers, np.uint64).astype(np.uint16).view(np.float16)
    return np.array(numbers, np.uint64).astype(np.int64).astype(dtype)


def _whole(value: int | memoryview, size: int) -> memoryview:
    content = _message(value)
    if len(content) % size:
        raise _Malformed("a list of numbers that ends within one")
    return content


def _edge(content: memoryview) -> int:
    size = next((value for field, value in _fields(content) if field == 1), 0)
    if not isinstance(size, int) or size >= 1 << 63:
        raise _Malformed("a constant of unknown shape")
    return size
