"""An int8 model's first layer, spelt so that ONNX Runtime's own CPU kernels are quick at it.

It has three input channels, and the kernels gather each weighted sum's 27 bytes in pieces of nine,
which takes longer than the sum. Here four columns of the picture are taken as twelve channels, and
the layer gives two columns of its answer at once: a quarter of the pieces, of 24 bytes each. That
most of the products are with zeros costs less. Answers are the same to the last bit. An inference
of the default model at 640x384 took 29.3 ms of an Intel Xeon (AMX), 26.8 with this alone.

OpenVINO has a way of its own for three channels and takes longer with this; so the file is edited
where it is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream.inference.contract import INPUT
from stream.inference.onnx_graph import NODE, WEIGHT, Graph, with_graph
from stream.inference.onnx_nodes import Node
from stream.inference.onnx_writer import encoded_bytes, node, tensor
from stream.types import Array

_PLANES, _PIXELS = (0, 3, 1, 2), (0, 2, 3, 1)
_COLOURS, _STRIDE, _TOGETHER = 3, 2, 2
_STEP = _STRIDE * _TOGETHER
"""Columns of the picture that are taken together."""


@dataclass(slots=True)
class _First:
    """The nodes that the first layer is made of, in their order."""

    pad: Node
    wide: Node
    planes: Node
    layer: Node
    narrow: Node

    @property
    def nodes(self) -> tuple[Node, ...]:
        return self.pad, self.wide, self.planes, self.layer, self.narrow


def with_wide_first_layer(model: bytes, width: int) -> bytes:
    """A model's file with its first layer widened.

    Args:
        model: an ONNX file's content.
        width: of every picture that will come, in pixels.

    Returns:
        The edited content; what came in where its first layer is none of this kind.

    Raises:
        ValueError: it is not in the format of an ONNX file.
    """
    return with_graph(model, lambda graph: _edited(graph, width))


def _edited(graph: Graph, width: int) -> bytes | None:
    first = _first(graph)
    made = None if first is None else _widened(graph, first, width)
    if first is None or made is None:
        return None
    return graph.written({**{id(one): [] for one in first.nodes}, id(first.narrow): made})


def _first(graph: Graph) -> _First | None:
    """The first layer: the picture's bytes, padded, scaled, as planes, and summed to bytes."""
    found = [one for one in graph.readers.get(INPUT, []) if one.kind != "Shape"]
    if len(found) != 1 or found[0].kind != "Pad" or found[0].inputs[0] != INPUT:
        return None
    for kind in ("DequantizeLinear", "Transpose", "Conv", "QuantizeLinear"):
        name = found[-1].outputs[0]
        reader = graph.only_reader(name, kind)
        if reader is None or reader.inputs[0] != name:
            return None
        found.append(reader)
    first = _First(*found)
    layer = first.layer.whole
    usual = (
        first.planes.whole.get("perm") == _PLANES
        and layer.get("strides") == (_STRIDE, _STRIDE)
        and not any(layer.get("pads", ()))
        and layer.get("group", (1,)) == (1,)
        and set(layer.get("dilations", (1,))) == {1}
        and len(first.pad.inputs) == 3
        and len(first.layer.inputs) == 3
    )
    return first if usual else None


@dataclass(slots=True)
class _Numbers:
    """What the first layer is computed with.

    Attributes:
        margins: int64 [8], of the picture, as Pad takes them.
        filters: int8 [channels, colours, rows, columns].
        scales: float32, of the filters: one, or one for each channel.
        sums: int32 [channels], the biases.
        units: float32, of the sums: one, or one for each channel.
    """

    margins: Array
    filters: Array
    scales: Array
    sums: Array
    units: Array


def _numbers(graph: Graph, first: _First) -> _Numbers | None:
    """The layer's stored numbers; None where they are computed, or of another kind."""
    weight, bias = (graph.makers.get(name) for name in first.layer.inputs[1:])
    if weight is None or bias is None:
        return None
    margins = graph.value(first.pad.inputs[1])
    of_weight, of_bias = graph.values(weight.inputs), graph.values(bias.inputs)
    if margins is None or of_weight is None or of_bias is None:
        return None
    filters, scales, *zeros = of_weight
    sums, units, *nothing = of_bias
    if filters.dtype != np.int8 or filters.shape[1] != _COLOURS:
        return None
    if any(one.any() for one in (*zeros, *nothing)):
        return None
    return _Numbers(margins, filters, scales, sums, units)


def _spread(filters: Array) -> Array:
    """Filters that read `_STEP` columns as channels and give `_TOGETHER` columns at once.

    Args:
        filters: int8 [channels, colours, rows, columns].

    Returns:
        int8 [channels * `_TOGETHER`, colours * `_STEP`, rows, blocks of columns].
    """
    count, colours, rows, taps = filters.shape
    blocks = 1 + (_STRIDE * (_TOGETHER - 1) + taps - 1) // _STEP
    wide = np.zeros((_TOGETHER, count, _STEP, colours, rows, blocks), np.int8)
    for column in range(_TOGETHER):
        for tap in range(taps):
            block, place = divmod(_STRIDE * column + tap, _STEP)
            wide[column, :, place, :, :, block] = filters[:, :, :, tap]
    return wide.reshape(_TOGETHER * count, _STEP * colours, rows, blocks)


def _widened(graph: Graph, first: _First, width: int) -> list[bytes] | None:
    """What takes the first layer's place; None where it does not fit."""
    read = _numbers(graph, first)
    if read is None:
        return None
    filters, scales, sums, units = read.filters, read.scales, read.sums, read.units
    count, colours, _, taps = filters.shape
    margins = read.margins.copy()
    left, right = int(margins[2]), int(margins[6])
    over = width + left + right - taps
    if over < 0 or over % _STRIDE or (over // _STRIDE + 1) % _TOGETHER:
        return None
    filters = _spread(filters)
    pairs = (over // _STRIDE + 1) // _TOGETHER
    margins[6] = _STEP * (pairs + filters.shape[-1] - 1) - width - left
    held = {
        "columns": np.array([0, 0, -1, _STEP * colours], np.int64),
        "rows": np.array([0, 0, -1, count], np.int64),
        "filters": filters,
        "scales": np.tile(scales, _TOGETHER),
        "sums": np.tile(sums, _TOGETHER),
        "units": np.tile(units, _TOGETHER),
    }
    step = [f"wide_first.{number}" for number in range(10)]
    picture, level = step[0], list(first.wide.inputs[1:])
    pads = (0, 0, 0, 0)
    grey = _own_margin(graph, first, left, width)
    shifted = sums + (0 if grey is None else grey) * filters.sum((1, 2, 3), dtype=np.int64)[:count]
    if grey is None or np.abs(shifted).max() > np.iinfo(np.int32).max:
        held["margins"] = margins
    else:
        # The zero is the margin's grey, and the sums have what that takes off all others.
        held |= {"grey": np.array(grey, np.uint8), "sums": np.tile(shifted, _TOGETHER)}
        held["sums"] = held["sums"].astype(np.int32)
        picture, level = INPUT, [level[0], "wide_first.grey"]
        pads = (int(margins[1]), 0, int(margins[5]), int(margins[6]) // _STEP)
    own = {name: f"wide_first.{name}" for name in held}
    made = [
        node("Reshape", [picture, own["columns"]], step[1]),
        node("Transpose", [step[1]], step[2], perm=_PLANES),
        node("DequantizeLinear", [step[2], *level], step[3]),
        node("DequantizeLinear", [own["filters"], own["scales"]], step[4], axis=0),
        node("DequantizeLinear", [own["sums"], own["units"]], step[5], axis=0),
        node(
            "Conv",
            [step[3], step[4], step[5]],
            step[6],
            kernel_shape=filters.shape[2:],
            strides=(_STRIDE, 1),
            pads=pads,
        ),
        node("QuantizeLinear", [step[6], *first.narrow.inputs[1:]], step[7]),
        node("Transpose", [step[7]], step[8], perm=_PIXELS),
        node("Reshape", [step[8], own["rows"]], step[9]),
        node("Transpose", [step[9]], first.narrow.outputs[0], perm=_PLANES),
    ]
    if picture != INPUT:
        made.insert(0, node("Pad", [INPUT, own["margins"], first.pad.inputs[2]], picture))
    return [
        *(encoded_bytes(NODE, one) for one in made),
        *(encoded_bytes(WEIGHT, tensor(own[name], value)) for name, value in held.items()),
    ]


def _own_margin(graph: Graph, first: _First, left: int, width: int) -> int | None:
    """The level of the margins where the layer can make them itself; None where it cannot.

    That is so where they are whole blocks of columns. It spares a copy of the picture, 0.3 of 28 ms
    at 640x384.
    """
    values = graph.values([first.pad.inputs[2], *first.wide.inputs[2:]])
    if left or width % _STEP or values is None:
        return None
    grey, *zeros = values
    if grey.dtype != np.uint8 or grey.size != 1 or any(one.any() for one in zeros):
        return None
    return int(grey.item())
