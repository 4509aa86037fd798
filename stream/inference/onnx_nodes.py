"""Reads the nodes of an ONNX graph, without the package `onnx`.

The field numbers are those of ONNX's onnx.proto3.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from stream.inference.onnx_fields import fields, text


@dataclass(slots=True)
class Node:
    """A node as far as it is looked at here.

    Attributes:
        kind: its operator.
        inputs: names, "" for one that is left out.
        outputs: names.
        whole: attributes of whole numbers.
        words: attributes of text.
    """

    kind: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    whole: dict[str, tuple[int, ...]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)


def read_node(content: memoryview) -> Node:
    """A node of a NodeProto's content."""
    found = Node()
    for number, value, _ in fields(content):
        if number == 1:
            found.inputs.append(text(value))
        elif number == 2:
            found.outputs.append(text(value))
        elif number == 4:
            found.kind = text(value)
        elif number == 5 and isinstance(value, memoryview):
            told = list(fields(value))
            name = next(text(one) for at, one, _ in told if at == 1)
            found.whole[name] = tuple(
                one for at, one, _ in told if at in (3, 8) and isinstance(one, int)
            )
            for at, one, _ in told:
                if at == 4:
                    found.words[name] = text(one)
    return found
