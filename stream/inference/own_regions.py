"""RoiAlign of bytes in an optimised int8 graph, computed by `stream.kernels`.

ONNX Runtime's own kernel takes pictures of float numbers, one channel after the other, so that
bytes are made floats before it and bytes again behind it, and channels that lie side by side for
the layers around it are parted and joined. Four of them and what is around take 3.3 of the 45 ms
that the default model's inference takes on an AMD EPYC of Zen 3. The loops take bytes with their
channels side by side, so what leads to a picture is done to it as it lies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stream.inference.onnx_graph import NODE, WEIGHT, Graph, with_graph
from stream.inference.onnx_nodes import Node, rewired
from stream.inference.onnx_writer import encoded_bytes, node, tensor
from stream.inference.own_layers import DOMAIN, TO_PIXELS, TO_PLANES, own_node
from stream.types import Array

_KIND = "Regions"
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


def _edited(graph: Graph) -> bytes | None:
    changed: dict[int, list[bytes]] = {}
    known: dict[str, list[bytes]] = {}
    for one in graph.nodes:
        regions = _regions(graph, one)
        made: dict[str, list[bytes]] = {}
        if regions is None:
            continue
        pixels = _as_pixels(graph, regions.picture, known, made, _DEEPEST)
        if pixels is None:
            continue
        known |= made
        before = [piece for pieces in made.values() for piece in pieces]
        changed[id(one)] = [*before, *_written(one, regions, pixels)]
        changed |= {id(told): [] for told in regions.instead}
    if not changed:
        return None
    return graph.written(changed | {id(one): [] for one in graph.idle(changed)})


def _regions(graph: Graph, told: Node) -> _Regions | None:
    """A RoiAlign between bytes and bytes; None for all other nodes."""
    if told.kind != "RoiAlign" or told.words.get("mode", "avg") != "avg":
        return None
    samples = told.whole.get("sampling_ratio", (0,))[0]
    wide = graph.makers.get(told.inputs[0])
    narrow = graph.only_reader(told.outputs[0], "QuantizeLinear")
    if samples < 1 or wide is None or narrow is None:
        return None
    level = _level_of(graph, wide)
    out_level = _level_of(graph, narrow)
    if level is None or out_level is None:
        return None
    instead = [narrow]
    turned = graph.only_reader(narrow.outputs[0], "Transpose")
    if turned is not None and turned.whole.get("perm") == TO_PIXELS:
        instead.append(turned)
    planes = len(instead) == 1
    half = told.words.get("coordinate_transformation_mode", "half_pixel") == "half_pixel"
    sides = (told.whole.get(f"output_{side}", (1,))[0] for side in ("height", "width"))
    numbers = [*sides, samples, half, planes, level[1], out_level[1]]
    scales = [told.real.get("spatial_scale", 1.0), level[0], out_level[0]]
    return _Regions(
        wide.inputs[0],
        instead[-1].outputs[0],
        np.array(scales, np.float32),
        np.array(numbers, np.int32),
        tuple(instead),
    )


def _level_of(graph: Graph, told: Node) -> tuple[float, int] | None:
    """What a level of bytes is worth, and their zero, where a node makes floats of them or back."""
    if told.kind == "Cast" and told.whole.get("to") == (_FLOAT32,):
        return (1.0, 0) if _bytes(graph, told.inputs[0]) else None
    if told.kind not in ("DequantizeLinear", "QuantizeLinear") or len(told.inputs) != 3:
        return None
    values = graph.values(told.inputs[1:])
    if values is None or any(one.size != 1 for one in values) or values[1].dtype != np.uint8:
        return None
    level, zero = values
    return float(level.item()), int(zero.item())


def _bytes(graph: Graph, name: str, deepest: int = _DEEPEST) -> bool:
    """Whether something is surely made of bytes without a sign."""
    told = graph.makers.get(name)
    if told is None or deepest == 0:
        return False
    if told.kind in ("Transpose", "Pad"):
        return _bytes(graph, told.inputs[0], deepest - 1)
    if told.kind == "Concat":
        return all(_bytes(graph, one, deepest - 1) for one in told.inputs)
    if told.domain == DOMAIN:
        return True
    zero = graph.value(told.inputs[7]) if told.kind == "QLinearConv" else None
    return zero is not None and zero.dtype == np.uint8


def _as_pixels(
    graph: Graph,
    name: str,
    known: Mapping[str, list[bytes]],
    made: dict[str, list[bytes]],
    deepest: int,
) -> str | None:
    """The name of a picture with its channels side by side; None where it cannot be had.

    Args:
        graph: in which it is.
        name: of the picture with its channels in planes.
        known: by the names of pictures, what makes them with their channels side by side.
        made: likewise, what is to be put in front; filled.
        deepest: nodes in front of it that are looked at.
    """
    there = f"{name}/pixels"
    if name in known or name in made:
        return there
    told = graph.makers.get(name)
    if told is None or deepest == 0:
        return None
    if told.kind == "Transpose":
        return told.inputs[0] if told.whole.get("perm") == TO_PLANES else None
    count = {"Concat": len(told.inputs), "Pad": 1}.get(told.kind, 0)
    found = [_as_pixels(graph, one, known, made, deepest - 1) for one in told.inputs[:count]]
    pixels = [one for one in found if one is not None]
    pieces = _turned(graph, told, pixels, there) if count and len(pixels) == count else []
    if not pieces:
        return None
    made[name] = pieces
    return there


def _turned(graph: Graph, told: Node, pixels: list[str], there: str) -> list[bytes]:
    """A Concat or Pad of pictures whose channels lie side by side; empty where it cannot be."""
    if told.kind == "Concat":
        axis = TO_PIXELS.index(told.whole["axis"][0] % len(TO_PIXELS))
        return [encoded_bytes(NODE, node("Concat", pixels, there, axis=axis))]
    around = graph.value(told.inputs[1])
    if around is None or around.size != 2 * len(TO_PIXELS) or len(told.inputs) > _PAD_INPUTS:
        return []
    held = f"{there}/around"
    turned = around.reshape(2, -1)[:, list(TO_PIXELS)].reshape(-1)
    padded = rewired(told.content, [*pixels, held, *told.inputs[2:]], [there], "/pixels")
    return [encoded_bytes(WEIGHT, tensor(held, turned)), encoded_bytes(NODE, padded)]


def _written(told: Node, regions: _Regions, pixels: str) -> list[bytes]:
    """The node and its tensors."""
    held = {
        f"{regions.output}/levels": regions.levels,
        f"{regions.output}/numbers": regions.numbers,
    }
    return own_node(_KIND, [pixels, told.inputs[1], told.inputs[2], *held], regions.output, held)
