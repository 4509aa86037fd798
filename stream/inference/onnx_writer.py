"""Writes small ONNX graphs, without the package `onnx`.

The field numbers are those of ONNX's onnx.proto3, the encoding is Protocol Buffers' wire format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from stream.types import Array

_TYPES = {"float32": 1, "uint8": 2, "uint16": 4, "int64": 7}
_IR_VERSION, _OPSET = 8, 17
_INT = 2


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
        held = np.ascontiguousarray(value)
        dims = b"".join(_number(1, side) for side in np.shape(value))
        content = dims + _number(2, _TYPES[held.dtype.name]) + _text(8, name)
        self._constants.append(_bytes(5, content + _bytes(9, held.tobytes())))
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: int) -> str:
        """A node of one output, whose attributes are whole numbers; returns the output's name."""
        content = b"".join(_text(1, one) for one in inputs) + _text(2, output)
        content += _text(3, output) + _text(4, kind)
        for name, value in attributes.items():
            told = _text(1, name) + _number(3, value) + _number(20, _INT)
            content += _bytes(5, told)
        self._nodes.append(_bytes(1, content))
        return output

    def input(self, name: str, kind: str, shape: Sequence[int | str]) -> str:
        """What goes in: its element type as NumPy calls it, sides that vary by a name."""
        self._ends.append(_bytes(11, _value(name, kind, shape)))
        return name

    def output(self, name: str, kind: str, shape: Sequence[int | str]) -> str:
        """What comes out, likewise."""
        self._ends.append(_bytes(12, _value(name, kind, shape)))
        return name

    def model(self) -> bytes:
        """The file's content."""
        graph = b"".join([*self._nodes, _text(2, self.name), *self._constants, *self._ends])
        opset = _text(1, "") + _number(2, _OPSET)
        head = _number(1, _IR_VERSION) + _text(2, "stream")
        return head + _bytes(7, graph) + _bytes(8, opset)


def _value(name: str, kind: str, shape: Sequence[int | str]) -> bytes:
    sides = b"".join(
        _bytes(1, _number(1, side) if isinstance(side, int) else _text(2, side)) for side in shape
    )
    tensor = _number(1, _TYPES[kind]) + _bytes(2, sides)
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _varint(value: int) -> bytes:
    held = bytearray()
    while value > 0x7F:
        held.append(value & 0x7F | 0x80)
        value >>= 7
    held.append(value)
    return bytes(held)


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _bytes(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _text(number: int, content: str) -> bytes:
    return _bytes(number, content.encode())
