"""A model's file for several pictures at once.

What treats pictures alike runs once for all of them; where its tensors enter the rest, they are
parted, and the rest is there once for each picture, with the same weights. What one picture's
answer is does not depend on the others. The contract stays as it is: such a file is made when a
model is loaded, and nobody else sees it. The package `onnx` is not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from stream.inference.batch_axis import Role, Step, follow
from stream.inference.contract import INPUT
from stream.inference.onnx_fields import fields, opset, text, with_graph
from stream.inference.onnx_nodes import (
    GRAPH_INPUT,
    NODE,
    OUTPUT,
    WEIGHT,
    Node,
    read_node,
    rewired,
    tensor_head,
)
from stream.inference.onnx_writer import encoded_bytes, encoded_text, int64_tensor, node

_OLDEST = 13
"""The first operator set in which Split is told the parts as a tensor."""

_SHAPES, _ROUNDING, _SPARSE = 13, 14, 15
"""Of a graph's fields: what is said of tensors that does not hold for several pictures, and tensors
of another kind."""

_WORTH_IT = ("Conv", "QLinearConv", "ConvInteger")
_ONES = "batch@ones"


def of_picture(name: str, place: int) -> str:
    """What a tensor is called that is one picture's, by its place among them."""
    return f"{name}@{place}"


def with_batch(model: bytes, count: int) -> bytes:
    """A model's file for several pictures.

    Args:
        model: an ONNX file's content, which keeps the contract.
        count: of the pictures.

    Returns:
        A file whose inputs and outputs are those of the first picture, of the second and so on,
        called as `of_picture` says.

    Raises:
        ValueError: why that cannot be done with this one.
    """
    if opset(model) < _OLDEST:
        raise ValueError(f"it is of before ONNX's operator set {_OLDEST}")
    return with_graph(model, lambda graph: _Batched(_read(graph), count).written())


@dataclass(slots=True)
class _Graph:
    """A graph's fields, as far as each is looked at."""

    nodes: list[Node] = field(default_factory=list)
    contents: list[memoryview] = field(default_factory=list)
    stored: dict[str, memoryview] = field(default_factory=dict)
    image: memoryview = field(default_factory=lambda: memoryview(b""))
    outputs: list[str] = field(default_factory=list)
    others: list[memoryview] = field(default_factory=list)
    """Those that stay, as they are."""


def _read(graph: memoryview) -> _Graph:
    found = _Graph()
    for number, value, raw in fields(graph):
        if isinstance(value, int) or number in (_SHAPES, _ROUNDING):
            continue
        if number == _SPARSE:
            raise ValueError("it has sparse tensors")
        if number == NODE:
            found.nodes.append(read_node(value))
            found.contents.append(value)
        elif number == GRAPH_INPUT and _name(value) == INPUT:
            found.image = value
        elif number == OUTPUT:
            found.outputs.append(_name(value))
        else:
            found.others.append(raw)
            if number == WEIGHT:
                found.stored[tensor_head(value)[0]] = value
    return found


class _Batched:
    """A graph in the making."""

    def __init__(self, graph: _Graph, count: int) -> None:
        self._graph, self._places = graph, range(count)
        self._known, steps = follow(graph.nodes, graph.stored)
        self._steps = list(zip(graph.nodes, graph.contents, steps, strict=True))
        if not any(
            step.role is Role.TOGETHER and one.kind in _WORTH_IT for one, _, step in self._steps
        ):
            raise ValueError("none of its convolutions treats several pictures alike")
        apart = [*graph.outputs]
        for one, _, step in self._steps:
            apart += one.inputs if step.role is Role.ALONE or step.of_first else []
        self._parted = {name for name in apart if self._is(name, Role.TOGETHER)} - {INPUT}
        self._lengths = {step.axes for *_, step in self._steps if step.sides is not None}

    def written(self) -> bytes:
        """Its content."""
        nodes = [node("Concat", self._pieces(INPUT), INPUT, axis=0)]
        for one, content, step in self._steps:
            nodes += self._rewritten(one, content, step)
            nodes += [
                node("Split", [name, _ONES], self._pieces(name), axis=0)
                for name in one.outputs
                if name in self._parted
            ]
        nodes += [
            node("Identity", [name], piece)
            for name in self._graph.outputs
            if self._is(name, Role.STORED, Role.SHARED)
            for piece in self._pieces(name)
        ]
        count = len(self._places)
        held = [int64_tensor(_ONES, [1] * count)]
        held += [int64_tensor(_factor(axes), [count, *[1] * (axes - 1)]) for axes in self._lengths]
        # Shapes are left out: objects would be called by one name, but are as many as they are.
        ends = [encoded_text(1, name) for of in self._graph.outputs for name in self._pieces(of)]
        return b"".join(
            [
                *(encoded_bytes(NODE, one) for one in nodes),
                *(encoded_bytes(WEIGHT, one) for one in held),
                *(encoded_bytes(GRAPH_INPUT, self._image(place)) for place in self._places),
                *(encoded_bytes(OUTPUT, one) for one in ends),
                *self._graph.others,
            ]
        )

    def _rewritten(self, one: Node, content: memoryview, step: Step) -> list[bytes]:
        """What takes a node's place."""
        if step.role is Role.ALONE:
            return [
                rewired(
                    content,
                    self._of_one(one.inputs, place),
                    self._of_one(one.outputs, place),
                    of_picture("", place),
                )
                for place in self._places
            ]
        if step.of_first:
            return [rewired(content, self._of_one(one.inputs, 0), one.outputs)]
        if step.sides is None:
            return [bytes(content)]
        inputs, sides = list(one.inputs), f"{one.outputs[0]}@sides"
        many = node("Mul", [inputs[step.sides], _factor(step.axes)], sides)
        inputs[step.sides] = sides
        return [many, rewired(content, inputs, one.outputs)]

    def _is(self, name: str, *roles: Role) -> bool:
        return self._known[name].role in roles

    def _pieces(self, name: str) -> list[str]:
        return [of_picture(name, place) for place in self._places]

    def _of_one(self, names: Sequence[str], place: int) -> list[str]:
        """What is one picture's under the name that it has there."""
        own = (Role.TOGETHER, Role.ALONE)
        return [of_picture(name, place) if self._is(name, *own) else name for name in names]

    def _image(self, place: int) -> bytes:
        """The ValueInfoProto of one picture."""
        return b"".join(
            encoded_text(1, of_picture(INPUT, place)) if number == 1 else bytes(raw)
            for number, _, raw in fields(self._graph.image)
        )


def _factor(axes: int) -> str:
    """The tensor by which the sides of what all pictures share are multiplied."""
    return f"batch@{axes}"


def _name(content: memoryview) -> str:
    """A ValueInfoProto's."""
    return next(text(value) for number, value, _ in fields(content) if number == 1)
