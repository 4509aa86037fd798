"""Float layers of an optimised int8 graph that see one pixel each, computed by `stream.kernels`.

The last layer of a region proposal network answers in float numbers. ONNX Runtime parts the
channels of the bytes that it reads, makes floats of them, lays these out for its own kernel, and
lays its answers out again: eight nodes at each level of a pyramid. The loops read the bytes as they
lie, and answer with each place's numbers side by side, as they are wanted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream.inference.onnx_graph import Graph, with_graph
from stream.inference.onnx_nodes import Node
from stream.inference.own_layers import TO_PIXELS, TO_PLANES, own_node
from stream.types import Array

_KIND = "Head"
_ANSWERS, _CHANNELS = 16, 128
"""Of a place exactly, as they are laid out, and of a pixel at most: of more the sums are parted."""


def with_own_heads(model: bytes) -> bytes:
    """A model's file whose float layers of single pixels are computed by the compiled loops.

    Those that answer in two parts, of at most 16 numbers a place, on processors with AVX-512: so
    many numbers ONNX Runtime computes together there, in the order in which the loops do.

    Args:
        model: an optimised ONNX file's content.

    Returns:
        The edited content; what came in where there is none of these layers.

    Raises:
        ValueError: it is not in the format of an ONNX file.
    """
    return with_graph(model, _edited)


@dataclass(frozen=True, slots=True)
class _Head:
    """A layer and what is around it.

    Attributes:
        pixels: the name of the bytes that it reads, with their channels side by side.
        outputs: of what it answers, in two parts.
        filters: float32 [channels, 16].
        bias: float32 [16].
        level: float32 [2]: a level of the bytes, and their zero.
        parts: int32 [2]: how many numbers of a place each part has.
        nodes: that are no more.
    """

    pixels: str
    outputs: tuple[str, str]
    filters: Array
    bias: Array
    level: Array
    parts: Array
    nodes: tuple[Node, ...]


def _edited(graph: Graph) -> bytes | None:
    changed: dict[int, list[bytes]] = {}
    for one in graph.nodes:
        head = _head(graph, one)
        if head is not None:
            changed |= {id(told): [] for told in head.nodes}
            changed[id(one)] = _written(head)
    if not changed:
        return None
    changed |= {id(one): [] for one in graph.idle(changed)}
    return graph.written_in_order(changed, graph.unread(changed))


def _head(graph: Graph, split: Node) -> _Head | None:
    """The layer whose answers a node parts; None for all other nodes."""
    if split.kind != "Split" or split.whole.get("axis", (0,)) != (1,) or len(split.outputs) != 2:
        return None
    turned = [graph.only_reader(one, "Transpose") for one in split.outputs]
    before = _before(graph, split, ("ReorderOutput", "Conv", "ReorderInput", "DequantizeLinear"))
    if before is None:
        return None
    _, layer, _, wide = before
    planes = graph.makers.get(wide.inputs[0])
    parts = graph.values(split.inputs[1:])
    read = graph.values([*wide.inputs[1:], *layer.inputs[1:]])
    if planes is None or parts is None or read is None or len(read) != 4 or not parts:
        return None
    ends = [one for one in turned if one is not None and one.whole.get("perm") == TO_PIXELS]
    level, zero, filters, bias = read
    usual = (
        len(ends) == 2
        and planes.kind == "Transpose"
        and planes.whole.get("perm") == TO_PLANES
        and zero.dtype == np.uint8
        and level.size == zero.size == 1
        and _sees_a_pixel(layer)
        and filters.ndim == 4
        and filters.shape[:1] == bias.shape == (_ANSWERS,)
        and filters.shape[2:] == (1, 1)
        and filters.shape[1] % _ANSWERS == 0
        and filters.shape[1] <= _CHANNELS
        and parts[0].size == 2
        and parts[0].sum() <= _ANSWERS
        and parts[0].min() > 0
    )
    if not usual:
        return None
    first, second = ends
    return _Head(
        planes.inputs[0],
        (first.outputs[0], second.outputs[0]),
        # Of each sixteen channels, for each channel its sixteen filters: as they are laid out.
        filters.reshape(-1, _ANSWERS),
        bias,
        np.array([level.item(), zero.item()], np.float32),
        parts[0].astype(np.int32),
        (*before, split, *ends),
    )


def _before(graph: Graph, told: Node, kinds: tuple[str, ...]) -> tuple[Node, ...] | None:
    """The nodes before one, of these kinds, each read by the next alone."""
    found: list[Node] = []
    for kind in kinds:
        maker = graph.makers.get(told.inputs[0])
        if maker is None or graph.only_reader(told.inputs[0], told.kind) is not told:
            return None
        if maker.kind != kind:
            return None
        found.append(maker)
        told = maker
    return tuple(found)


def _sees_a_pixel(layer: Node) -> bool:
    """Whether a convolution's places begin with their own pixel, and nothing is done behind it."""
    return (
        set(layer.whole.get("strides", (1,))) <= {1}
        and set(layer.whole.get("pads", (0,))) <= {0}
        and layer.whole.get("group", (1,)) == (1,)
        and layer.words.get("auto_pad", "NOTSET") == "NOTSET"
        and "activation" not in layer.words
    )


def _written(head: _Head) -> list[bytes]:
    """The node and its tensors."""
    name = head.outputs[0]
    held = {
        f"{name}/filters": head.filters,
        f"{name}/bias": head.bias,
        f"{name}/level": head.level,
        f"{name}/parts": head.parts,
    }
    return own_node(_KIND, [head.pixels, *held], head.outputs, held)
