"""A model's file for several pictures at once.

What treats pictures alike runs once for all of them; where its tensors enter the rest, they are
parted, and the rest is there once for each picture, with the same weights. What one picture's
answer is does not depend on the others. The contract stays as it is: such a file is made when a
model is loaded, and nobody else sees it. The package `onnx` is not needed.
"""

from __future__ import annotations

from collections.abc import Sequence

from stream.inference.batch_axis import Role, Step, follow
from stream.inference.contract import INPUT
from stream.inference.onnx_fields import fields, opset
from stream.inference.onnx_graph import (
    GRAPH_INPUT,
    NODE,
    OUTPUT,
    WEIGHT,
    Graph,
    Part,
    with_graph,
)
from stream.inference.onnx_nodes import Node, rewired
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
    return with_graph(model, lambda graph: _Batched(graph, count).written())


class _Batched:
    """A graph in the making."""

    def __init__(self, graph: Graph, count: int) -> None:
        if any(part.number == _SPARSE for part in graph.parts):
            raise ValueError("it has sparse tensors")
        self._graph, self._places = graph, range(count)
        self._known, steps = follow(graph.nodes, graph.stored)
        self._steps = list(zip(graph.nodes, steps, strict=True))
        if not any(
            step.role is Role.TOGETHER and one.kind in _WORTH_IT for one, step in self._steps
        ):
            raise ValueError("none of its convolutions treats several pictures alike")
        apart = [*graph.ends]
        for one, step in self._steps:
            apart += one.inputs if step.role is Role.ALONE or step.of_first else []
        self._parted = {name for name in apart if self._is(name, Role.TOGETHER)} - {INPUT}
        self._lengths = {step.axes for *_, step in self._steps if step.sides is not None}

    def written(self) -> bytes:
        """Its content."""
        nodes = [node("Concat", self._pieces(INPUT), INPUT, axis=0)]
        for one, step in self._steps:
            nodes += self._rewritten(one, step)
            nodes += [
                node("Split", [name, _ONES], self._pieces(name), axis=0)
                for name in one.outputs
                if name in self._parted
            ]
        nodes += [
            node("Identity", [name], piece)
            for name in self._graph.ends
            if self._is(name, Role.STORED, Role.SHARED)
            for piece in self._pieces(name)
        ]
        count = len(self._places)
        held = [int64_tensor(_ONES, [1] * count)]
        held += [int64_tensor(_factor(axes), [count, *[1] * (axes - 1)]) for axes in self._lengths]
        # Shapes are left out: objects would be called by one name, but are as many as they are.
        ends = [encoded_text(1, name) for of in self._graph.ends for name in self._pieces(of)]
        images = [part for part in self._graph.parts if _is_image(part)]
        return b"".join(
            [
                *(encoded_bytes(NODE, one) for one in nodes),
                *(encoded_bytes(WEIGHT, one) for one in held),
                *(_of_picture(image, place) for place in self._places for image in images),
                *(encoded_bytes(OUTPUT, one) for one in ends),
                *(part.raw for part in self._graph.parts if _stays(part)),
            ]
        )

    def _rewritten(self, one: Node, step: Step) -> list[bytes]:
        """What takes a node's place."""
        if step.role is Role.ALONE:
            return [
                rewired(
                    one.content,
                    self._of_one(one.inputs, place),
                    self._of_one(one.outputs, place),
                    of_picture("", place),
                )
                for place in self._places
            ]
        if step.of_first:
            return [rewired(one.content, self._of_one(one.inputs, 0), one.outputs)]
        if step.sides is None:
            return [bytes(one.content)]
        inputs, sides = list(one.inputs), f"{one.outputs[0]}@sides"
        many = node("Mul", [inputs[step.sides], _factor(step.axes)], sides)
        inputs[step.sides] = sides
        return [many, rewired(one.content, inputs, one.outputs)]

    def _is(self, name: str, *roles: Role) -> bool:
        return self._known[name].role in roles

    def _pieces(self, name: str) -> list[str]:
        return [of_picture(name, place) for place in self._places]

    def _of_one(self, names: Sequence[str], place: int) -> list[str]:
        """What is one picture's under the name that it has there."""
        own = (Role.TOGETHER, Role.ALONE)
        return [of_picture(name, place) if self._is(name, *own) else name for name in names]


def _is_image(part: Part) -> bool:
    return part.number == GRAPH_INPUT and part.name == INPUT


def _of_picture(image: Part, place: int) -> bytes:
    """What is said of one picture among several, from what is said of the only one."""
    told = b"".join(
        encoded_text(1, of_picture(INPUT, place)) if number == 1 else bytes(raw)
        for number, _, raw in fields(image.content)
    )
    return encoded_bytes(GRAPH_INPUT, told)


def _stays(part: Part) -> bool:
    return part.number not in (NODE, OUTPUT, _SHAPES, _ROUNDING) and not _is_image(part)


def _factor(axes: int) -> str:
    """The tensor by which the sides of what all pictures share are multiplied."""
    return f"batch@{axes}"
