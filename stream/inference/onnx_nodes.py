"""Reads the nodes and tensors of an ONNX graph, without the package `onnx`.

The field numbers are those of ONNX's onnx.proto3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from stream.inference.onnx_fields import fields, numbers, text
from stream.inference.onnx_writer import encoded_text
from stream.types import Array

Rule = TypeVar("Rule")

_TYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64}


@dataclass(slots=True)
class Node:
    """A node as far as it is looked at here.

    Attributes:
        kind: its operator.
        domain: of that; "" for ONNX's own.
        inputs: names, "" for one that is left out.
        outputs: names.
        whole: attributes of whole numbers.
        real: attributes that are a number with a fraction.
        words: attributes of text.
        value: the tensor that a constant is.
        nested: whether it has a graph of its own.
        content: all of it, as it is in the file.
    """

    kind: str = ""
    domain: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    whole: dict[str, tuple[int, ...]] = field(default_factory=dict)
    real: dict[str, float] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    value: memoryview | None = None
    nested: bool = False
    content: memoryview = field(default=memoryview(b""), repr=False)


def read_node(content: memoryview) -> Node:
    """A node of a NodeProto's content."""
    found = Node(content=content)
    for number, value, _ in fields(content):
        if number == 1:
            found.inputs.append(text(value))
        elif number == 2:
            found.outputs.append(text(value))
        elif number == 4:
            found.kind = text(value)
        elif number == 7:
            found.domain = text(value).removeprefix("ai.onnx")
        elif number == 5 and isinstance(value, memoryview):
            told = list(fields(value))
            name = next(text(one) for at, one, _ in told if at == 1)
            found.whole[name] = tuple(
                whole for at, one, _ in told if at in (3, 8) for whole in numbers(one)
            )
            for at, one, _ in told:
                if at == 2 and isinstance(one, memoryview):
                    (found.real[name],) = np.frombuffer(one, np.float32).tolist()
                elif at == 4:
                    found.words[name] = text(one)
                elif at == 5 and isinstance(one, memoryview):
                    found.value = one
                found.nested = found.nested or at in (6, 11)
    return found


def rewired(
    content: memoryview, inputs: Sequence[str], outputs: Sequence[str], mark: str = ""
) -> bytes:
    """A NodeProto with other names for what goes in and comes out.

    Args:
        content: the node's.
        inputs: as many names as it has inputs, or more; "" for one that is left out.
        outputs: as many as it has.
        mark: what is added to its own name.
    """
    written: list[bytes | memoryview] = []
    names = {1: iter(inputs), 2: iter(outputs)}
    for number, value, raw in fields(content):
        if number in names:
            written.append(encoded_text(number, next(names[number])))
        elif number == 3:
            written.append(encoded_text(3, text(value) + mark))
        else:
            written.append(raw)
    written += [encoded_text(1, name) for name in names[1]]
    return b"".join(written)


def tensor_head(content: memoryview) -> tuple[str, tuple[int, ...]]:
    """A TensorProto's name and shape."""
    name, shape = "", list[int]()
    for number, value, _ in fields(content):
        if number == 1:
            shape += numbers(value)
        elif number == 8:
            name = text(value)
    return name, tuple(shape)


def tensor_value(content: memoryview) -> Array:
    """A TensorProto's numbers.

    Raises:
        ValueError: they are of a rare type, or elsewhere.
    """
    kind, raw, packed = 0, b"", list[int]()
    for number, value, _ in fields(content):
        if number == 2 and isinstance(value, int):
            kind = value
        elif number in (4, 9) and isinstance(value, memoryview):
            raw += value  # float numbers and raw bytes are stored alike
        elif number in (5, 7):
            packed += numbers(value)
        elif number in (6, 10, 11, 13):
            raise ValueError("a tensor stored in a rare way")
    if kind not in _TYPES:
        raise ValueError(f"a tensor of the type {kind}")
    shape = tensor_head(content)[1]
    held = np.frombuffer(raw, _TYPES[kind]) if raw else np.array(packed, _TYPES[kind])
    return held.reshape(shape)


def by_kind(rules: Mapping[str, Rule]) -> dict[str, Rule]:
    """Rules for nodes by operator, from rules by several operators' names with spaces between."""
    return {kind: rule for several, rule in rules.items() for kind in several.split()}
