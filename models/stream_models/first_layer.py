"""The int8 model's first layer on the picture's bytes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from stream.errors import ModelError
from stream.inference.contract import INPUT
from stream.types import Array

_CONVOLUTION = "network.backbone.stem/Conv"
_LEVEL = np.float32(1 / 127.5)
"""What a level is worth to the network, which takes 0..255 as -1..1."""
_GREY = np.uint8(128)


def take_bytes(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a quantised model of this network whose first layer reads the picture's bytes.

    They were made float numbers from -1 to 1 and rounded to eight bits again, which lost every
    second level. Levels count from 0 here, and the bias takes off what that adds; the margin is
    therefore a picture's and not the layer's own, which is of zeros. OpenVINO computes neither a
    layer whose input has another zero in int8, nor one whose scale comes right before it, as it
    makes that part of the weights: the scale comes before the planes are parted.

    A cell beyond the picture's edge counts half a level more than it did.

    Raises:
        ModelError: the model is another network's, or not quantised with pairs of nodes.
    """
    out = onnx.ModelProto()
    out.CopyFrom(model)
    graph = out.graph
    stored = {item.name: item for item in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    conv = next((node for node in graph.node if node.name == _CONVOLUTION), None)
    if conv is None or any(makers[name].op_type != "DequantizeLinear" for name in conv.input):
        raise ModelError("the first layer of this model is not that of a quantised bundled network")
    weights, scales = _stored(makers[conv.input[1]], stored)
    sums, units = _stored(makers[conv.input[2]], stored)
    pads = next(item for item in conv.attribute if item.name == "pads")
    top, left, bottom, right = pads.ints
    pads.ints[:] = [0, 0, 0, 0]
    # The network takes level 127.5 as its zero.
    shift = weights.astype(np.float64).sum((1, 2, 3)) * scales * (127.5 * _LEVEL)
    new_units = _LEVEL * scales
    limits = np.iinfo(np.int32)
    whole = np.round((sums * units.astype(np.float64) - shift) / new_units.astype(np.float64))
    constants = {
        "first.margins": np.array([0, top, left, 0, 0, bottom, right, 0], np.int64),
        "first.grey": _GREY,
        "first.level": _LEVEL,
        "first.zero": np.uint8(0),
        "first.bias": np.clip(whole, limits.min, limits.max).astype(np.int32),
        "first.units": new_units,
        "first.nothing": np.zeros(len(weights), np.int32),
    }
    make = helper.make_node
    before = [
        make("Pad", [INPUT, "first.margins", "first.grey"], ["first.picture"], "first/Pad"),
        make(
            "DequantizeLinear",
            ["first.picture", "first.level", "first.zero"],
            ["first.levels"],
            "first/DequantizeLinear",
        ),
        make("Transpose", ["first.levels"], ["first.input"], "first/Transpose", perm=[0, 3, 1, 2]),
        make(
            "DequantizeLinear",
            ["first.bias", "first.units", "first.nothing"],
            ["first.sums"],
            "first.sums",
            axis=0,
        ),
    ]
    conv.input[0], conv.input[2] = "first.input", "first.sums"
    place = list(graph.node).index(conv)
    nodes = list(graph.node)
    nodes[place:place] = before
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()
    )
    drop_unused(graph)
    onnx.checker.check_model(out, full_check=True)
    return out


def _stored(node: onnx.NodeProto, stored: Mapping[str, onnx.TensorProto]) -> tuple[Array, Array]:
    """What a node makes float numbers of, and their scale."""
    held, scale = (numpy_helper.to_array(stored[name]) for name in node.input[:2])
    return held, scale


def drop_unused(graph: onnx.GraphProto) -> None:
    """Removes nodes and weights that nothing reads any more."""
    wanted = {value.name for value in graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            kept.append(node)
            wanted.update(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    held = [item for item in graph.initializer if item.name in wanted]
    del graph.initializer[:]
    graph.initializer.extend(held)
