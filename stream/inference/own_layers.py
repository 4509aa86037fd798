"""Int8 layers of an optimised graph, computed by `stream.kernels.convolve`.

ONNX Runtime's own kernels take 6.5 of 45 ms for the default model's layers whose channels have a
filter each, where 3.9 are enough; on processors without VNNI every sum of four products of bytes
takes two multiplications, where for most of them one and a half will do; and where AVX-512 has it,
they multiply at a third of what the processor can where filters read few numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.inference.onnx_graph import NODE, WEIGHT, Graph, with_graph
from stream.inference.onnx_nodes import Node
from stream.inference.onnx_writer import encoded_bytes, encoded_text, node, tensor
from stream.kernels import Kernels
from stream.kernels.convolve import TAP, TOGETHER, VECTOR, Filters, Way, by_own, of_own
from stream.types import Array

DOMAIN = "stream"
TO_PLANES, TO_PIXELS = (0, 3, 1, 2), (0, 2, 3, 1)
"""How a Transpose parts channels that lie side by side, and joins them."""
_OWN, _ALL, _SUMMED = "Shallow", "Deep", "Summed"
_INPUTS, _ADDS = 9, 8
"""What a layer of ONNX Runtime's reads, and what a node of its that adds."""
_MOST_LEVEL = 2**30
"""What answers are to stay below before they are cut to bytes: the loops make whole numbers of 32
bits of them first, where ONNX Runtime cuts floats. Only a layer that calibration never saw
answer has a scale with which this is reached."""
_MOST_SIDE = 64
"""Pixels of a filter, or of what is around a picture, beyond which a layer is none of these."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """What a layer is computed with.

    Attributes:
        filters: int8 [answers, channels of each group, rows, columns].
        own: whether each channel has a filter of its own.
        sums: int32 [answers], what is added: the bias, less what the picture's zero comes to.
        factors: float32 [answers], by which sums become levels.
        numbers: int32 [13]: answers; the filters' rows and columns; steps down and across; how far
            apart a filter's places are, likewise; what is around the picture above, left, below,
            right; the picture's zero and the answer's.
    """

    filters: NDArray[np.int8]
    own: bool
    sums: NDArray[np.int32]
    factors: NDArray[np.float32]
    numbers: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class _Sum:
    """What is added to a layer's answers.

    Attributes:
        node: of ONNX Runtime's that adds it.
        other: the name of what is added, of the same size.
        shares: float32 [4]: what of the layer's own is taken, what of the other, what is added; and
            1 where the layer's own is added to that first, 0 where the other is.
    """

    node: Node
    other: str
    shares: NDArray[np.float32]


def with_own_layers(
    model: bytes, kernels: Kernels, way: Way, *, every: bool, summed: bool = True
) -> bytes:
    """A model's file whose layers are computed by the compiled loops, where they can be.

    Args:
        model: an optimised ONNX file's content.
        kernels: the loops.
        way: that they are computed with.
        every: layers whose filters read every channel too: where ONNX Runtime has no better ones.
        summed: what is added to the answers of one that nobody else reads is added in it.

    Returns:
        The edited content; what came in where there is none of these layers.

    Raises:
        ValueError: it is not in the format of an ONNX file.
    """

    def edit(graph: Graph) -> bytes | None:
        return _edited(graph, kernels, way, every=every, summed=summed)

    return with_graph(model, edit)


def _edited(graph: Graph, kernels: Kernels, way: Way, *, every: bool, summed: bool) -> bytes | None:
    instead: dict[int, list[bytes]] = {}
    for told in graph.nodes:
        layer = _layer(graph, told, every=every)
        if layer is None:
            continue
        added = _sum(graph, told) if summed and not layer.own else None
        if added is not None and id(added.node) not in instead:
            # In the place of who adds, where all that is added has been made.
            instead[id(told)] = []
            instead[id(added.node)] = _written(told, layer, kernels, way, added)
        else:
            instead[id(told)] = _written(told, layer, kernels, way)
    return graph.written_in_order(instead, graph.unread(instead)) if instead else None


def _sum(graph: Graph, told: Node) -> _Sum | None:
    """What is added to a layer's answers, if nobody else reads these."""
    adds = graph.only_reader(told.outputs[0], "QLinearAdd")
    if adds is None or len(adds.inputs) != _ADDS:
        return None
    scales = (1, 4, 6)
    zeros = (2, 5, 7)
    values = graph.values(adds.inputs[at] for at in (*scales, *zeros))
    if values is None or any(one.size != 1 for one in values):
        return None
    if any(one.dtype != np.float32 for one in values[:3]) or any(
        one.dtype != np.uint8 for one in values[3:]
    ):
        return None
    first, second, out = (np.float32(one.item()) for one in values[:3])
    lowest, lower, above = (np.float32(one.item()) for one in values[3:])
    # As ONNX Runtime reckons them, step by step, in 32 bits; the first product is not rounded.
    of_first, of_second = first / out, second / out
    below = np.float32(np.float64(of_first) * lowest + np.float64(of_second * lower))
    fixed = above - below
    own_first = adds.inputs[3] == told.outputs[0]
    shares = (of_second, of_first) if own_first else (of_first, of_second)
    other = adds.inputs[0 if own_first else 3]
    return _Sum(adds, other, np.array([*shares, fixed, own_first], np.float32))


def _written(
    told: Node, layer: _Layer, kernels: Kernels, way: Way, added: _Sum | None = None
) -> list[bytes]:
    """A layer's node and tensors."""
    laid: Filters
    sums: Array = layer.sums
    factors: Array = layer.factors
    if layer.own:
        laid = of_own(layer.filters, way)
        sums, factors = by_own(sums, way), by_own(factors, way)
    else:
        laid = kernels.of_all(layer.filters, way)
    name = told.outputs[0] if added is None else added.node.outputs[0]
    held = {
        f"{name}/filters": laid.weights,
        f"{name}/sums": sums,
        f"{name}/factors": factors,
        f"{name}/numbers": np.append(layer.numbers, np.int32(way)),
        f"{name}/order": laid.order,
        f"{name}/blocks": laid.blocks,
    }
    read = [told.inputs[0], *held]
    if added is not None:
        held[f"{name}/shares"] = added.shares
        read += [added.other, f"{name}/shares"]
    kind = _OWN if layer.own else _ALL if added is None else _SUMMED
    return own_node(kind, read, name, held)


def own_node(
    kind: str, read: Sequence[str], outputs: str | Sequence[str], held: Mapping[str, Array]
) -> list[bytes]:
    """A node of the compiled loops' and the tensors that it brings, as fields of a graph.

    Args:
        kind: of operator, as `operators.c` calls it.
        read: names of what goes in.
        outputs: of what comes out.
        held: the tensors, by name.
    """
    made = node(kind, read, outputs)
    return [
        encoded_bytes(NODE, made + encoded_text(7, DOMAIN)),
        *(encoded_bytes(WEIGHT, tensor(name, value)) for name, value in held.items()),
    ]


@dataclass(frozen=True, slots=True)
class _Stored:
    """What a layer of ONNX Runtime's reads beside its picture, in its order."""

    level: Array
    zero: Array
    filters: Array
    scales: Array
    zeros: Array
    out_level: Array
    out_zero: Array
    bias: Array

    @property
    def usual(self) -> bool:
        """Whether pictures are bytes with one scale, and filters have signs and no zero."""
        return (
            self.zero.dtype == self.out_zero.dtype == np.uint8
            and self.filters.dtype == np.int8
            and self.filters.ndim == 4
            and not self.zeros.any()
            and all(one.size == 1 for one in (self.level, self.zero, self.out_level, self.out_zero))
        )


def _stored(graph: Graph, told: Node) -> _Stored | None:
    """What a node reads; None where it is computed, or of another kind."""
    if told.kind != "QLinearConv" or told.whole.get("channels_last") != (1,):
        return None
    values = graph.values(told.inputs[1:]) if len(told.inputs) == _INPUTS else None
    read = None if values is None else _Stored(*values)
    return read if read is not None and read.usual else None


def _layer(graph: Graph, told: Node, *, every: bool) -> _Layer | None:
    """A node that can be computed so; None for all others."""
    read = _stored(graph, told)
    if read is None:
        return None
    filters: NDArray[np.int8] = read.filters
    zero, out_zero = int(read.zero.item()), int(read.out_zero.item())
    numbers = _numbers(told, filters, zero, out_zero)
    group = told.whole.get("group", (1,))[0]
    own = _reads_its_own(filters, group, numbers)
    if numbers is None or not (own or (every and _reads_all(filters, group))):
        return None
    # As ONNX Runtime reckons them, step by step, in 32 bits.
    scales = np.float32(read.level.item()) * read.scales.astype(np.float32)
    factors = np.broadcast_to(
        (scales / np.float32(read.out_level.item())).reshape(-1), len(filters)
    )
    sums = read.bias.astype(np.int64) - zero * filters.sum((1, 2, 3), dtype=np.int64)
    if np.abs(sums).max(initial=0) > np.iinfo(np.int32).max:
        return None
    weighed = np.abs(filters.astype(np.int64)).sum((1, 2, 3))
    most = factors.astype(np.float64) * (np.abs(read.bias.astype(np.int64)) + 255 * weighed)
    if not np.all(most < _MOST_LEVEL):
        return None
    return _Layer(filters, own, sums.astype(np.int32), np.ascontiguousarray(factors), numbers)


def _numbers(
    told: Node, filters: NDArray[np.int8], zero: int, out_zero: int
) -> NDArray[np.int32] | None:
    answers, _, high, wide = filters.shape
    steps = told.whole.get("strides", (1, 1))
    apart = told.whole.get("dilations", (1, 1))
    around = told.whole.get("pads", (0, 0, 0, 0))
    usual = told.words.get("auto_pad", "NOTSET") == "NOTSET"
    sides = (high, wide, *steps, *apart, *around)
    if not usual or len(sides) != 10 or max(sides) > _MOST_SIDE or min(around) < 0:
        return None
    return np.array([answers, *sides, zero, out_zero], np.int32)


def _reads_its_own(
    filters: NDArray[np.int8], group: int, numbers: NDArray[np.int32] | None
) -> bool:
    """Whether each channel has a filter of three by three, as the loops know it."""
    if numbers is None:
        return False
    _, high, wide, down, across, *apart = numbers[:7].tolist()
    return (
        group == len(filters)
        and filters.shape[1] == 1
        and group % TOGETHER == 0
        and (high, wide, *apart) == (3, 3, 1, 1)
        and down == across
        and across in (1, 2)
    )


def _reads_all(filters: NDArray[np.int8], group: int) -> bool:
    """Whether each filter reads every channel, as the loops know it."""
    return group == 1 and filters.shape[1] % TAP == 0 and len(filters) % VECTOR == 0
