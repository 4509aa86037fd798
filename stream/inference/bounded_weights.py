"""An int8 model's weights, such that its sums are right on x86 processors without VNNI.

There a product of two bytes is added to its neighbour's in 16 bits (the instruction is called
`vpmaddubsw`), and what does not fit is cut off without a word: 255 times 127, twice, is far
beyond. The default model's AP of people falls from 0.429 to 0.390 by it, that of portraits and
streets from 0.873 to 0.811. It fits always where two weights that are added so, and have the same
sign, come to 128 at most. So the weights of an output channel are made smaller, by half at most and
mostly by a fifth, and its scale larger. What they lose in rounding costs little: 0.425 and 0.873.

ONNX Runtime and OpenVINO add them so alike. Layers that see one channel at a time have kernels of
their own, which widen first. So has ONNX Runtime for layers that take bytes with a sign as they are
(QLinearConv and its like), to which smaller weights would only cost accuracy; where such bytes are
written as float numbers around layers of these, it takes the sign off them, and sums as ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stream.inference.onnx_graph import NODE, WEIGHT, Graph, with_graph
from stream.inference.onnx_nodes import Node, rewired
from stream.inference.onnx_writer import encoded_bytes, tensor
from stream.types import Array

_MOST = 128
"""Of two weights of one sign: 255 times it, 32,640, fits into 16 bits, 255 times 129 does not."""
_LESS = 127.6
"""Aimed at where rounding has gone beyond."""
_MARK = ".bounded"
_SUMS = ("Conv", "Gemm", "MatMul")
# Of layers that take bytes as they are, what each adds as which of those, and where its weights,
# their scales and zero points, and its biases are among what it reads.
_WHOLE = {
    "QLinearConv": ("Conv", (3, 4, 5), 8),
    "QLinearMatMul": ("MatMul", (3, 4, 5), None),
    "QGemm": ("Gemm", (3, 4, 5), 6),
}

_ZERO = 2
"""Where the zero point of what is seen is, among what a layer that takes bytes reads."""


@dataclass(slots=True)
class _Change:
    """What a node gets in place of some of its inputs, by their places."""

    node: Node
    made: dict[int, Array]


def with_bounded_weights(model: bytes, *, widens: bool = True) -> bytes:
    """A model's file whose weights, two by two, fit into sums of 16 bits.

    Args:
        model: an ONNX file's content, whose int8 layers are written as DequantizeLinear and
            QuantizeLinear around layers of float numbers, or as QLinearConv, QLinearMatMul and
            QGemm, or as MatMulInteger, which ONNX Runtime's dynamic quantisation makes.
        widens: whether the provider adds in 32 bits where a layer takes bytes with a sign.

    Returns:
        The edited content; what came in where all of them fit.

    Raises:
        ValueError: it is not in the format of an ONNX file.
    """
    return with_graph(model, lambda graph: _edited(graph, widens=widens), constants=True)


def _edited(graph: Graph, *, widens: bool) -> bytes | None:
    found = [change for one in graph.nodes for change in _changes(graph, one, widens=widens)]
    # Of several changes of one node the last holds.
    instead = {id(change.node): _written(change) for change in found}
    return graph.written(instead, graph.unread(instead)) if instead else None


def _written(change: _Change) -> list[bytes]:
    """A node that reads what was made, and that."""
    told = change.node
    wired = list(told.inputs)
    wired += [""] * (max(change.made) + 1 - len(wired))
    made: list[bytes] = []
    for place, values in change.made.items():
        wired[place] = f"{told.outputs[0]}{_MARK}.{place}"
        made.append(encoded_bytes(WEIGHT, tensor(wired[place], values)))
    return [encoded_bytes(NODE, rewired(told.content, wired, told.outputs)), *made]


def _changes(graph: Graph, node: Node, *, widens: bool) -> list[_Change]:
    if node.kind == "DequantizeLinear":
        return _bounded(graph, node)
    if node.kind == "MatMulInteger":
        return _without_sign(graph, node)
    if node.kind not in _WHOLE or (widens and _signed(graph, node)):
        return []
    return _bounded_whole(graph, node)


def _signed(graph: Graph, layer: Node) -> bool:
    """Whether a layer takes bytes with a sign, as their zero point says."""
    zero = graph.values(layer.inputs[_ZERO : _ZERO + 1])
    return bool(zero and zero[0].dtype == np.int8)


def _without_sign(graph: Graph, node: Node) -> list[_Change]:
    """What changes for a layer of whole numbers, which tells of no scale that could be larger.

    Its weights become bytes from 0 to 255, as their zero point does. Two of those are added in 32
    bits, if more slowly, and nothing is lost.
    """
    places = [place for place in (1, 3) if len(node.inputs) > place and node.inputs[place]]
    values = graph.values(node.inputs[place] for place in places)
    if values is None or any(one.dtype != np.int8 for one in values) or values[0].ndim != 2:
        return []
    maker = graph.makers.get(node.inputs[0])
    # Its bytes have no sign. Of others there is no kernel for weights without one.
    if maker is None or maker.kind != "DynamicQuantizeLinear":
        return []
    rows = values[0].T.astype(np.float32)
    if _pairs(rows, rows.shape[1]).max(initial=0) <= _MOST:
        return []
    zeros = values[1] if len(values) > 1 else np.zeros((), np.int8)
    return [_Change(node, {1: _raised(values[0]), 3: _raised(zeros)})]


def _raised(values: Array) -> Array:
    made: Array = (values.astype(np.int16) + 128).astype(np.uint8)
    return made


def _bounded(graph: Graph, wide: Node) -> list[_Change]:
    """What changes for the weights that a node makes float numbers of; nothing where they fit."""
    layers = graph.readers.get(wide.outputs[0], [])
    values = graph.values(wide.inputs) if layers else None
    if values is None or values[0].dtype != np.int8 or values[1].dtype != np.float32:
        return []
    weights, scales, *zeros = values
    rows = _rows(weights, layers, wide.outputs[0])
    biases = _biases(graph, layers)
    if rows is None or biases is None:
        return []
    # One scale for all, or one for each output channel, along their axis.
    each = scales.size > 1
    if each and (scales.shape != rows.shape[:1] or weights.shape[_axis(wide)] != len(rows)):
        return []
    sums: list[tuple[Node, Array, Array]] = []
    for node in biases:
        if (told := graph.values(node.inputs)) is not None:
            sums.append((node, told[0], told[1]))
    alike = all(one.dtype == np.int32 and units.size == scales.size for _, one, units in sums)
    found = _fitting(rows, each, _across(weights, layers[0]), *zeros)
    if found is None or len(sums) < len(biases) or not alike:
        return []
    fitting, factors = found
    share = factors if each else factors[0]
    made = {0: _like(fitting, weights, layers[0]), 1: _shrunk(scales, share)}
    if zeros and zeros[0].any():
        made[2] = np.zeros_like(zeros[0])
    return [
        _Change(wide, made),
        *(
            _Change(node, {0: _scaled(one, share), 1: _shrunk(units, share)})
            for node, one, units in sums
        ),
    ]


def _bounded_whole(graph: Graph, node: Node) -> list[_Change]:
    """What changes for a layer that takes bytes as they are; nothing where its weights fit."""
    kind, places, last = _WHOLE[node.kind]
    bias = [at for at, name in enumerate(node.inputs) if at == last and name]
    values = graph.values(node.inputs[place] for place in places)
    if values is None or values[0].dtype != np.int8 or values[1].dtype != np.float32:
        return []
    weights, scales, zeros = values
    layer = replace(node, kind=kind, inputs=["", node.inputs[places[0]]])
    rows = _rows(weights, [layer], node.inputs[places[0]])
    each = scales.size > 1
    if rows is None or (each and scales.shape != rows.shape[:1]):
        return []
    found = _fitting(rows, each, _across(weights, layer), zeros)
    biases = graph.values(node.inputs[at] for at in bias)
    if found is None or biases is None or any(one.dtype != np.int32 for one in biases):
        return []
    fitting, factors = found
    share = factors if each else factors[0]
    made = {places[0]: _like(fitting, weights, layer), places[1]: _shrunk(scales, share)}
    made |= {at: _scaled(one, share) for at, one in zip(bias, biases, strict=True)}
    if zeros.any():
        made[places[2]] = np.zeros_like(zeros)
    return [_Change(node, made)]


def _axis(wide: Node) -> int:
    return wide.whole.get("axis", (1,))[0]


def _scaled(sums: Array, share: NDArray[np.float32]) -> Array:
    made: Array = np.rint(sums * share).astype(np.int32)
    return made


def _shrunk(scales: Array, share: NDArray[np.float32]) -> Array:
    made: Array = (scales / np.reshape(share, scales.shape)).astype(np.float32)
    return made


def _rows(weights: Array, layers: Sequence[Node], name: str) -> NDArray[np.float32] | None:
    """The weights of each output channel, (channels, sum), in the order in which they are added.

    None where a layer is of another kind, or computed in another way.
    """
    rows = set()
    for layer in layers:
        if layer.kind not in _SUMS or layer.inputs.count(name) != 1 or layer.inputs[1] != name:
            return None
        rows.add(layer.kind == "Conv" or _transposed(layer))
        # Its kernels add in 32 bits.
        group = layer.whole.get("group", (1,))[0]
        if group > 1 and group == weights.shape[0] and weights.shape[1] == 1:
            return None
    if len(rows) != 1 or weights.ndim < 2 or (layers[0].kind != "Conv" and weights.ndim != 2):
        return None
    if layers[0].kind == "Conv":
        ordered = np.moveaxis(weights, 1, -1)
        return ordered.reshape(len(weights), -1).astype(np.float32)
    return (weights if rows == {True} else weights.T).astype(np.float32)


def _like(rows: NDArray[np.float32], weights: Array, layer: Node) -> Array:
    """Rows as `_rows` makes them, laid out as the weights they come from."""
    held = rows.astype(np.int8)
    if layer.kind == "Conv":
        shape = (len(weights), *weights.shape[2:], weights.shape[1])
        return np.ascontiguousarray(np.moveaxis(held.reshape(shape), -1, 1))
    return held if _transposed(layer) else held.T


def _transposed(layer: Node) -> bool:
    return layer.whole.get("transB", (0,))[0] == 1


def _biases(graph: Graph, layers: Sequence[Node]) -> list[Node] | None:
    """The nodes that make float numbers of the layers' own sums, in units of the weights' scales.

    None where others have them too. What is stored as float numbers is in no such units.
    """
    names = {id(one) for one in layers}
    found: dict[int, Node] = {}
    for layer in layers:
        if len(layer.inputs) < 3 or not layer.inputs[2] or layer.inputs[2] in graph.stored:
            continue
        maker = graph.makers.get(layer.inputs[2])
        if maker is None or maker.kind != "DequantizeLinear":
            return None
        if any(id(one) not in names for one in graph.readers[layer.inputs[2]]):
            return None
        found[id(maker)] = maker
    return list(found.values())


def _across(weights: Array, layer: Node) -> int:
    """How many of a convolution's weights are added before the next row of the picture is read.

    An edit of the first layer, which has three channels, lets each row begin with a pair.
    """
    return int(weights.shape[1] * weights.shape[-1]) if layer.kind == "Conv" else len(weights[0])


def _fitting(
    rows: NDArray[np.float32], each: bool, across: int, zeros: Array | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Rows whose pairs fit, without zero points, and by what each was multiplied.

    None where they fit as they are.

    Args:
        rows: whole numbers from -128 to 127.
        each: whether each row may have a factor of its own.
        across: see `_across`.
        zeros: which number stands for 0, in all rows or in each; None for 0 itself.
    """
    most = _pairs(rows, across)
    if most.max(initial=0) <= _MOST or (zeros is not None and zeros.size not in (1, len(rows))):
        return None
    if zeros is not None and zeros.any():
        rows = rows - zeros.reshape(-1, 1).astype(np.float32)
        most = _pairs(rows, across)
    factors: NDArray[np.float32] = np.minimum(1, _MOST / np.maximum(most, 1))
    while True:
        if not each:
            factors[:] = factors.min()
        made = np.clip(np.rint(rows * factors[:, None]), -128, 127)
        most = _pairs(made, across)
        over = most > _MOST
        if not over.any():
            return made, factors
        factors[over] *= _LESS / most[over]


def _pairs(rows: NDArray[np.float32], across: int) -> NDArray[np.float32]:
    """What two neighbours of one sign come to at most, for each row."""
    found = [rows[:, :0].max(1, initial=0)]
    for length in {rows.shape[1], across} if across % 2 else {rows.shape[1]}:
        part = rows.reshape(len(rows), -1, length)[..., : length - length % 2]
        for one in (np.maximum(part, 0), np.maximum(-part, 0)):
            found.append((one[..., ::2] + one[..., 1::2]).max((1, 2), initial=0))
    most: NDArray[np.float32] = np.maximum.reduce(found)
    return most
