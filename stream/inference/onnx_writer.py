"""Writes small ONNX graphs, without the package `onnx`.

The field numbers are those of ONNX's onnx.proto3, the encoding is Protocol Buffers' wire format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from stream.types import Array

_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int32": 6, "int64": 7}
_IR_VERSION, _OPSET = 8, 17
_INT, _INTS = 2, 7


def type_code(name: str) -> int:
    """ONNX's number of an element type that NumPy calls so."""
    return _TYPES[name]


@dataclass(slots=True)
class GraphWriter:
    """A graph in the making: nodes in their order, then the file.

    Attributes:
        name: of the graph.
    """

    name: str
    _nodes: list[bytes] = field(default_factory=list)
    _constants: list[bytes] = field(default_factory=list)
    _ends: list[bytes] = field(default_factory=list)

    def constant(self, name: str, value: Array) -> str:
        """A tensor of the file; returns its name."""
        self._constants.append(encoded_bytes(5, tensor(name, value)))
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: int) -> str:
        """A node of one output, whose attributes are whole numbers; returns the output's name."""
        self._nodes.append(encoded_bytes(1, node(kind, inputs, output, **attributes)))
        return output

    def input(self, name: str, kind: str, shape: Sequence[int | str]) -> str:
        """What goes in: its element type as NumPy calls it, sides that vary by a name."""
        self._ends.append(encoded_bytes(11, _value(name, kind, shape)))
        return name

    def output(self, name: str, kind: str, shape: Sequence[int | str]) -> str:
        """What comes out, likewise."""
        self._ends.append(encoded_bytes(12, _value(name, kind, shape)))
        return name

    def model(self) -> bytes:
        """The file's content."""
        graph = b"".join([*self._nodes, encoded_text(2, self.name), *self._constants, *self._ends])
        opset = opset_of("", _OPSET)
        head = _number(1, _IR_VERSION) + encoded_text(2, "stream")
        return head + encoded_bytes(7, graph) + encoded_bytes(8, opset)


def node(
    kind: str, inputs: Sequence[str], output: str | Sequence[str], **attributes: int | Sequence[int]
) -> bytes:
    """A NodeProto of one output or several, whose attributes are whole numbers, or some of them."""
    outputs = [output] if isinstance(output, str) else output
    content = b"".join(encoded_text(1, one) for one in inputs)
    content += b"".join(encoded_text(2, one) for one in outputs)
    content += encoded_text(3, outputs[0]) + encoded_text(4, kind)
    for name, value in attributes.items():
        if isinstance(value, int):
            told = _number(3, value) + _number(20, _INT)
        else:
            told = b"".join(_number(8, one) for one in value) + _number(20, _INTS)
        content += encoded_bytes(5, encoded_text(1, name) + told)
    return content


def opset_of(domain: str, version: int) -> bytes:
    """An OperatorSetIdProto: whose operators, "" for ONNX's own, and which edition of them."""
    return encoded_text(1, domain) + _number(2, version)


def int64_tensor(name: str, values: Sequence[int]) -> bytes:
    """A TensorProto of whole numbers along one axis."""
    return tensor(name, np.array(values, np.int64))


def tensor(name: str, value: Array) -> bytes:
    """A TensorProto."""
    held = np.ascontiguousarray(value)
    dims = b"".join(_number(1, side) for side in np.shape(value))
    told = dims + _number(2, _TYPES[held.dtype.name]) + encoded_text(8, name)
    return told + encoded_bytes(9, held.tobytes())


def _value(name: str, kind: str, shape: Sequence[int | str]) -> bytes:
    sides = b"".join(
        encoded_bytes(1, _number(1, side) if isinstance(side, int) else encoded_text(2, side))
        for side in shape
    )
    tensor = _number(1, _TYPES[kind]) + encoded_bytes(2, sides)
    return encoded_text(1, name) + encoded_bytes(2, encoded_bytes(1, tensor))


def _varint(value: int) -> bytes:
    held = bytearray()
    while value > 0x7F:
        held.append(value & 0x7F | 0x80)
        value >>= 7
    held.append(value)
    return bytes(held)


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def encoded_bytes(number: int, content: bytes) -> bytes:
    """A message's field of that number, which holds bytes or another message."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def encoded_text(number: int, content: str) -> bytes:
    """A message's field of that number, which holds text."""
    return encoded_bytes(number, content.encode())
