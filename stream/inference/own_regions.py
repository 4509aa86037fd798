"""RoiAlign of bytes in an optimised int8 graph, computed by `stream.kernels`.

ONNX Runtime's own kernel takes pictures of float numbers, one channel after the other, so that
bytes are made floats before it and bytes again behind it, and channels that lie side by side for
the layers around it are parted and joined. Four of them and what is around take 3.3 of the 45 ms
that the default model's inference takes on an AMD EPYC of Zen 3. The loops take bytes with their
channels side by side, so what leads to a picture is done to it as it lies.

The graph is edited without the package `onnx`. Field numbers are those of ONNX's onnx.proto3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from stream.inference.onnx_fields import fields, text, with_graph
from stream.inference.onnx_nodes import (
    NODE,
    OUTPUT,
    WEIGHT,
    Node,
    read_node,
    rewired,
    tensor_head,
    tensor_value,
)
from stream.inference.onnx_writer import encoded_bytes, encoded_text, node, tensor
from stream.inference.own_layers import DOMAIN
from stream.types import Array

_KIND = "Regions"
_TO_PLANES, _TO_PIXELS = (0, 3, 1, 2), (0, 2, 3, 1)
_FLOAT32 = 1
_PAD_INPUTS = 3
_DEEPEST = 8
"""Nodes between a picture and the layer that made it, at most."""


def with_own_regions(model: bytes) -> bytes:
    """A model's file whose regions of bytes are computed by the compiled loops.

    Args:
        model: an optimised ONNX file's content.

    Returns:
        The edited content; what came in where there is none of these regions.

    Raises:
        ValueError: it is not in the format of an ONNX file.
    """
    return with_graph(model, _edited)


@dataclass(frozen=True, slots=True)
class _Raw:
    """A node, and how it is stored."""

    told: Node
    content: memoryview


@dataclass(slots=True)
class _Graph:
    """A graph's nodes by what they make and who reads it.

    Attributes:
        ends: names of what the graph answers.
        known: by the names of pictures, what makes them with their channels side by side.
    """

    makers: dict[str, _Raw]
    readers: dict[str, list[_Raw]]
    stored: Mapping[str, memoryview]
    ends: set[str]
    known: dict[str, list[bytes]] = field(default_factory=dict)

    def value(self, name: str) -> Array | None:
        """A stored tensor; None where it is computed, or stored in a rare way."""
        try:
            return tensor_value(self.stored[name])
        except (KeyError, ValueError):
            return None

    def number(self, name: str) -> float | None:
        """A stored tensor of one number."""
        found = self.value(name)
        return None if found is None or found.size != 1 else float(found.item())

    def only_reader(self, name: str, kind: str) -> Node | None:
        """The node that alone reads something, if it is of a kind."""
        found = [] if name in self.ends else self.readers.get(name, [])
        return found[0].told if len(found) == 1 and found[0].told.kind == kind else None


@dataclass(frozen=True, slots=True)
class _Regions:
    """What takes the place of a RoiAlign and the nodes around it.

    Attributes:
        picture: the name of the bytes, with channels in planes.
        output: the name of what it answers.
        levels: float32 [3]: a box's scale, a level of the picture and of the answer.
        numbers: int32 [7], as `operators.c` reads them.
        instead: the nodes behind it, which are no more.
    """

    picture: str
    output: str
    levels: Array
    numbers: Array
    instead: tuple[Node, ...]


def _edited(content: memoryview) -> bytes | None:
    parts = list(fields(content))
    nodes = [
        _Raw(read_node(value), value)
        for number, value, _ in parts
        if number == NODE and isinstance(value, memoryview)
    ]
    stored = {
        tensor_head(value)[0]: value
        for number, value, _ in parts
        if number == WEIGHT and isinstance(value, memoryview)
    }
    readers: dict[str, list[_Raw]] = {}
    for one in nodes:
        for name in one.told.inputs:
            readers.setdefault(name, []).append(one)
    ends = {_name(value) for number, value, _ in parts if number == OUTPUT}
    makers = {name: one for one in nodes for name in one.told.outputs}
    graph = _Graph(makers, readers, stored, ends)
    changed: dict[int, list[bytes]] = {}
    for one in nodes:
        regions = _regions(graph, one.told)
        made: dict[str, list[bytes]] = {}
        pixels = None if regions is None else _as_pixels(graph, regions.picture, made, _DEEPEST)
        if regions is None or pixels is None:
            continue
        graph.known.update(made)
        before = [piece for pieces in made.values() for piece in pieces]
        changed[id(one.told)] = [*before, *_written(one.told, regions, pixels)]
        changed |= {id(told): [] for told in regions.instead}
    if not changed:
        return None
    return b"".join(_whole(parts, nodes, changed, ends))


def _name(value: int | memoryview) -> str:
    """A ValueInfoProto's name."""
    if isinstance(value, int):
        return ""
    return next((text(one) for at, one, _ in fields(value) if at == 1), "")


def _whole(
    parts: list[tuple[int, int | memoryview, memoryview]],
    nodes: list[_Raw],
    changed: Mapping[int, list[bytes]],
    ends: set[str],
) -> Iterator[bytes | memoryview]:
    """The graph with what was changed, without what nothing reads any more."""
    wanted = ends | {
        name for pieces in changed.values() for piece in pieces for name in _reads(piece)
    }
    kept = set[int]()
    # Nodes stand in their order, so that who reads something comes behind who makes it.
    for one in reversed(nodes):
        if id(one.told) not in changed and wanted & set(one.told.outputs):
            kept.add(id(one.told))
            wanted.update(one.told.inputs)
    left = iter(nodes)
    for number, value, piece in parts:
        if number != NODE or not isinstance(value, memoryview):
            yield piece
            continue
        told = next(left).told
        if id(told) in changed:
            yield from changed[id(told)]
        elif id(told) in kept:
            yield piece


def _reads(piece: bytes) -> list[str]:
    """What a node that was written reads; nothing of a tensor."""
    number, value, _ = next(fields(memoryview(piece)))
    return read_node(value).inputs if number == NODE and isinstance(value, memoryview) else []


def _regions(graph: _Graph, told: Node) -> _Regions | None:
    """A RoiAlign between bytes and bytes; None for all other nodes."""
    if told.kind != "RoiAlign" or told.words.get("mode", "avg") != "avg":
        return None
    samples = told.whole.get("sampling_ratio", (0,))[0]
    wide = graph.makers.get(told.inputs[0])
    narrow = graph.only_reader(told.outputs[0], "QuantizeLinear")
    if samples < 1 or wide is None or narrow is None:
        return None
    level = _level_of(graph, wide.told)
    out_level = _level_of(graph, narrow)
    if level is None or out_level is None:
        return None
    instead = [narrow]
    turned = graph.only_reader(narrow.outputs[0], "Transpose")
    if turned is not None and turned.whole.get("perm") == _TO_PIXELS:
        instead.append(turned)
    planes = len(instead) == 1
    half = told.words.get("coordinate_transformation_mode", "half_pixel") == "half_pixel"
    sides = (told.whole.get(f"output_{side}", (1,))[0] for side in ("height", "width"))
    numbers = [*sides, samples, half, planes, level[1], out_level[1]]
    scales = [told.real.get("spatial_scale", 1.0), level[0], out_level[0]]
    return _Regions(
        wide.told.inputs[0],
        instead[-1].outputs[0],
        np.array(scales, np.float32),
        np.array(numbers, np.int32),
        tuple(instead),
    )


def _level_of(graph: _Graph, told: Node) -> tuple[float, int] | None:
    """What a level of bytes is worth, and their zero, where a node makes floats of them or back."""
    if told.kind == "Cast" and told.whole.get("to") == (_FLOAT32,):
        return (1.0, 0) if _bytes(graph, told.inputs[0]) else None
    if told.kind not in ("DequantizeLinear", "QuantizeLinear") or len(told.inputs) != 3:
        return None
    level, zero = graph.number(told.inputs[1]), graph.value(told.inputs[2])
    if level is None or zero is None or zero.dtype != np.uint8 or zero.size != 1:
        return None
    return level, int(zero.item())


def _bytes(graph: _Graph, name: str, deepest: int = _DEEPEST) -> bool:
    """Whether something is surely made of bytes without a sign."""
    maker = graph.makers.get(name)
    if maker is None or deepest == 0:
        return False
    told = maker.told
    if told.kind in ("Transpose", "Pad"):
        return _bytes(graph, told.inputs[0], deepest - 1)
    if told.kind == "Concat":
        return all(_bytes(graph, one, deepest - 1) for one in told.inputs)
    if told.domain == DOMAIN:
        return True
    zero = graph.value(told.inputs[7]) if told.kind == "QLinearConv" else None
    return zero is not None and zero.dtype == np.uint8


def _as_pixels(graph: _Graph, name: str, made: dict[str, list[bytes]], deepest: int) -> str | None:
    """The name of a picture with its channels side by side; None where it cannot be had.

    Args:
        graph: in which it is.
        name: of the picture with its channels in planes.
        made: by names likewise, what is to be put in front; filled.
        deepest: nodes in front of it that are looked at.
    """
    there = f"{name}/pixels"
    if name in graph.known or name in made:
        return there
    maker = graph.makers.get(name)
    if maker is None or deepest == 0:
        return None
    told = maker.told
    if told.kind == "Transpose":
        return told.inputs[0] if told.whole.get("perm") == _TO_PLANES else None
    count = {"Concat": len(told.inputs), "Pad": 1}.get(told.kind, 0)
    found = [_as_pixels(graph, one, made, deepest - 1) for one in told.inputs[:count]]
    pixels = [one for one in found if one is not None]
    pieces = _turned(graph, maker, pixels, there) if count and len(pixels) == count else []
    if not pieces:
        return None
    made[name] = pieces
    return there


def _turned(graph: _Graph, maker: _Raw, pixels: list[str], there: str) -> list[bytes]:
    """A Concat or Pad of pictures whose channels lie side by side; empty where it cannot be."""
    told = maker.told
    if told.kind == "Concat":
        axis = _TO_PIXELS.index(told.whole["axis"][0] % len(_TO_PIXELS))
        return [encoded_bytes(NODE, node("Concat", pixels, there, axis=axis))]
    around = graph.value(told.inputs[1])
    if around is None or around.size != 2 * len(_TO_PIXELS) or len(told.inputs) > _PAD_INPUTS:
        return []
    held = f"{there}/around"
    turned = around.reshape(2, -1)[:, list(_TO_PIXELS)].reshape(-1)
    padded = rewired(maker.content, [*pixels, held, *told.inputs[2:]], [there], "/pixels")
    return [encoded_bytes(WEIGHT, tensor(held, turned)), encoded_bytes(NODE, padded)]


def _written(told: Node, regions: _Regions, pixels: str) -> list[bytes]:
    """The node and its tensors."""
    held = {
        f"{regions.output}/levels": regions.levels,
        f"{regions.output}/numbers": regions.numbers,
    }
    made = node(_KIND, [pixels, told.inputs[1], told.inputs[2], *held], regions.output)
    return [
        encoded_bytes(NODE, made + encoded_text(7, DOMAIN)),
        *(encoded_bytes(WEIGHT, tensor(name, value)) for name, value in held.items()),
    ]
