"""Models whose convolutions of regions always see the same number of them.

cuDNN plans a convolution for the shape that comes, and ONNX Runtime keeps the last plan only. In a
mask head the number of regions is that of the objects, which changes from frame to frame: on an
NVIDIA H100 a frame with one more person took 58 ms, of which computing was 5. So before such
convolutions regions of zeros are added, up to a multiple of `STEP`, and after them they are cut
off. What a convolution makes of one region does not depend on the others, so answers are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from stream.inference.onnx_fields import opset
from stream.inference.onnx_graph import NODE, WEIGHT, Graph, with_graph
from stream.inference.onnx_nodes import Node, rewired, tensor_head
from stream.inference.onnx_writer import encoded_bytes, int64_tensor, node

STEP = 32
"""A multiple of it is computed: few pictures have more objects, and a card hardly sees the rest."""

_CONVOLUTIONS = ("Conv", "ConvTranspose")
_EACH_ALONE = {
    *_CONVOLUTIONS,
    *("Add", "BatchNormalization", "Cast", "Clip", "DepthToSpace", "HardSigmoid", "HardSwish"),
    *("LeakyRelu", "MaxPool", "AveragePool", "Mul", "Relu", "Resize", "Sigmoid", "Sub"),
}
"""Operators that treat each region by itself and keep the regions along the first axis, where all
else that goes in is constant."""

_OLDEST = 15
"""The first operator set in which Shape can be asked for one side."""


@dataclass(slots=True)
class _Part:
    """Nodes that hang together and see the same regions."""

    members: set[int] = field(default_factory=set)
    entries: dict[str, int] = field(default_factory=dict)
    """What goes in, with the number of its axes."""


def with_fixed_regions(model: bytes) -> bytes:
    """A model's file with regions added before and cut off after their convolutions.

    Args:
        model: an ONNX file's content.

    Returns:
        The edited content; what came in where there is nothing to edit.

    Raises:
        ValueError: it is not in the format of an ONNX file.
    """
    return with_graph(model, _edited) if opset(model) >= _OLDEST else model


def _edited(graph: Graph) -> bytes | None:
    """The graph's content with regions fixed; None where it has no convolution of regions."""
    nodes = graph.nodes
    constants = {name: len(tensor_head(held)[1]) for name, held in graph.stored.items()}
    for one in nodes:
        if all(name in constants for name in one.inputs if name):
            # Weights may be kept as halves. Other constants' axes are not needed.
            same = one.inputs[:1] if one.kind in ("Cast", "DequantizeLinear", "Identity") else []
            axes = constants[same[0]] if same else 0
            constants.update(dict.fromkeys(one.outputs, axes))
    parts = _parts(nodes, constants)
    if not parts:
        return None
    before: dict[int, list[bytes]] = {}
    after: dict[int, list[bytes]] = {}
    inside: dict[int, dict[str, str]] = {}
    added: list[bytes] = []
    for at, part in enumerate(parts):
        added += _fix(nodes, part, f"fixed_regions.{at}", graph.ends, before, after, inside)
    instead: dict[int, list[bytes]] = {}
    for index, names in inside.items():
        one = nodes[index]
        inputs, outputs = ([names.get(to, to) for to in of] for of in (one.inputs, one.outputs))
        written = [*before.get(index, []), rewired(one.content, inputs, outputs)]
        written += after.get(index, [])
        instead[id(one)] = [encoded_bytes(NODE, each) for each in written]
    return graph.written_in_order(instead, behind=added)


def _parts(nodes: list[Node], constants: dict[str, int]) -> list[_Part]:
    """What is to be fixed: convolutions of what was pooled from regions, and what follows them."""
    pooled: set[str] = set()
    of: dict[str, _Part] = {}
    parts: list[_Part] = []
    for index, one in enumerate(nodes):
        of_regions = one.kind == "RoiAlign" or any(name in pooled for name in one.inputs)
        if not of_regions:
            continue
        pooled.update(one.outputs)
        moving = [name for name in one.inputs if name and name not in constants]
        inside = [name for name in moving if name in of]
        if one.kind in _CONVOLUTIONS and moving == one.inputs[:1] and constants[one.inputs[1]]:
            entries = {} if inside else {moving[0]: constants[one.inputs[1]]}
        elif one.kind in _EACH_ALONE and moving and len(inside) == len(moving):
            entries = {}
        else:
            continue
        part = _Part()
        for joined in {id(of[name]): of[name] for name in inside}.values():
            part.members |= joined.members
            part.entries |= joined.entries
            parts.remove(joined)
        part.members.add(index)
        # The same input of two convolutions is padded once, and both belong together.
        part.entries |= entries
        twin = next((old for old in parts if part.entries.keys() & old.entries.keys()), None)
        if twin is not None:
            part.members |= twin.members
            part.entries |= twin.entries
            parts.remove(twin)
        parts.append(part)
        for member in part.members:
            of.update(dict.fromkeys(nodes[member].outputs, part))
    return parts


def _fix(
    nodes: list[Node],
    part: _Part,
    prefix: str,
    ends: Sequence[str],
    before: dict[int, list[bytes]],
    after: dict[int, list[bytes]],
    inside: dict[int, dict[str, str]],
) -> list[bytes]:
    """Says what comes before and after a part's nodes, and their names; returns constants."""
    step, first = f"{prefix}.step", f"{prefix}.first"
    count, extra = f"{prefix}.count", f"{prefix}.extra"
    held = [int64_tensor(step, [STEP]), int64_tensor(first, [0])]
    earliest = min(part.members)
    begin = before.setdefault(earliest, [])
    begin.append(node("Shape", [nodes[earliest].inputs[0]], count, start=0, end=1))
    begin.append(node("Mod", [count, step], f"{prefix}.over"))
    begin.append(node("Sub", [step, f"{prefix}.over"], extra))
    for axes in sorted(set(part.entries.values())):
        held.append(int64_tensor(f"{prefix}.before{axes}", [0] * axes))
        held.append(int64_tensor(f"{prefix}.after{axes}", [0] * (axes - 1)))
        sides = [f"{prefix}.before{axes}", extra, f"{prefix}.after{axes}"]
        begin.append(node("Concat", sides, f"{prefix}.sides{axes}", axis=0))
    inner = {name: f"{name}/{prefix}" for member in part.members for name in nodes[member].outputs}
    padded = {name: f"{name}/{prefix}" for name in part.entries}
    outside = set(ends) | {
        name for index, one in enumerate(nodes) if index not in part.members for name in one.inputs
    }
    waiting = dict(part.entries)
    for index in sorted(part.members):
        one = nodes[index]
        for name in one.inputs:
            axes = waiting.pop(name, 0)
            if axes:
                pad = node("Pad", [name, f"{prefix}.sides{axes}"], padded[name])
                before.setdefault(index, []).append(pad)
        for name in one.outputs:
            if name in outside:
                cut = node("Slice", [inner[name], first, count, first], name)
                after.setdefault(index, []).append(cut)
        inside[index] = padded | inner
    return [encoded_bytes(WEIGHT, one) for one in held]
