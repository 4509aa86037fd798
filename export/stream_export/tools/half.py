"""Half precision for GPUs: the network in float16, boxes, scores and suppression in float32."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from stream.errors import ModelError
from stream_export.graph import widened
from stream_export.metadata import check_contract, load_model, save_model, write_metadata

_FLOAT, _HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
_LARGEST = float(np.finfo(np.float16).max)

_LAST = re.compile(r"cls_score|bbox_pred|box_predictor")
"""The box head's last layers: small, and a half's rounding of a logit would show in the scores."""

_PRODUCTS = {"Conv", "Gemm", "MatMul", "ConvTranspose"}
# Follow whatever type their data has; halves stay halves through them.
_FOLLOWING = {
    "Relu",
    "Clip",
    "LeakyRelu",
    "HardSigmoid",
    "HardSwish",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Resize",
    "Reshape",
    "Flatten",
    "Transpose",
    "DepthToSpace",
    "Squeeze",
    "Unsqueeze",
    "Identity",
    "Add",
    "Mul",
    "Concat",
}
# Inputs of these that are numbers about the data, not the data.
_SETTINGS = {"Resize": {1, 2, 3}, "Reshape": {1}, "Squeeze": {1}, "Unsqueeze": {1}}


def half_file(source: Path, output: Path) -> None:
    """Converts a file; see `half_model`.

    Raises:
        ModelError: the model cannot be read or converted.
    """
    save_model(half_model(load_model(source)), output)


def half_model(model: onnx.ModelProto) -> onnx.ModelProto:
    """Makes a half-precision model of a float32 one.

    Convolutions and matrix products with constant weights become float16, and so does whatever lies
    only between them. Everything else, which is anchors, decoding, suppression, softmax, RoIAlign's
    coordinates and the outputs, stays as it was: a float16 has 11 bits, so above 1024 it counts in
    whole pixels. Features go to the pooling as float32 and come back as float16.

    Raises:
        ModelError: it is not float32, or a weight is too large for a half.
    """
    metadata = check_contract(model)
    if metadata.precision != "float32":
        raise ModelError(f"only a float32 model can be halved, this one is {metadata.precision}")
    halved = widened(model)
    _Halver(halved.graph).run()
    write_metadata(halved, replace(metadata, precision="float16", accuracy={}))
    onnx.checker.check_model(halved, full_check=True)
    check_contract(halved)
    return halved


class _Halver:
    """Rewrites one graph."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.weights = {item.name: item for item in graph.initializer}
        self.users: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self.users.setdefault(name, []).append(node)
        self.outputs = {value.name for value in graph.output}
        self.halves: set[str] = set()
        self.made: dict[tuple[str, int], str] = {}
        self.nodes: list[onnx.NodeProto] = []

    def run(self) -> None:
        """Replaces the graph's nodes and weights."""
        for node in self.graph.node:
            if self._goes_half(node):
                self._half(node)
            else:
                self._float(node)
        used = {name for node in self.nodes for name in node.input} | self.outputs
        kept = [item for item in self.graph.initializer if item.name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        del self.graph.value_info[:]

    def _goes_half(self, node: onnx.NodeProto) -> bool:
        if node.op_type in _PRODUCTS:
            if node.op_type != "Conv" and _LAST.search(node.name):
                return False
            return len(node.input) > 1 and node.input[1] in self.weights
        if node.op_type not in _FOLLOWING:
            return False
        data = self._data(node)
        if not any(name in self.halves for name in data):
            return False
        return all(name in self.halves or self._constant(name) for name in data)

    def _data(self, node: onnx.NodeProto) -> list[str]:
        settings = _SETTINGS.get(node.op_type, set())
        return [n for place, n in enumerate(node.input) if n and place not in settings]

    def _constant(self, name: str) -> bool:
        return name in self.weights and self.weights[name].data_type == _FLOAT

    def _half(self, node: onnx.NodeProto) -> None:
        settings = _SETTINGS.get(node.op_type, set())
        for place, name in enumerate(node.input):
            if not name or place in settings:
                continue
            if self._constant(name):
                node.input[place] = self._half_weight(name)
            elif name in self.halves:
                node.input[place] = f"{name}/half"
            else:
                node.input[place] = self._cast(name, name, _HALF)
        self.nodes.append(node)
        for place, name in enumerate(node.output):
            self.halves.add(name)
            node.output[place] = f"{name}/half"
            if name in self.outputs:
                self._cast(f"{name}/half", name, _FLOAT, name)

    def _float(self, node: onnx.NodeProto) -> None:
        for place, name in enumerate(node.input):
            if name in self.halves and name not in self.outputs:
                node.input[place] = self._cast(f"{name}/half", name, _FLOAT)
        self.nodes.append(node)

    def _cast(self, source: str, of: str, kind: int, result: str | None = None) -> str:
        key = (of, kind)
        if key not in self.made:
            self.made[key] = result or f"{of}/{'half' if kind == _HALF else 'float'}"
            target = self.made[key]
            self.nodes.append(
                helper.make_node("Cast", [source], [target], name=f"cast/{target}", to=kind)
            )
        return self.made[key]

    def _half_weight(self, name: str) -> str:
        target = f"{name}/half"
        if target not in self.weights:
            value = numpy_helper.to_array(self.weights[name])
            if value.size and float(np.abs(value).max()) > _LARGEST:
                raise ModelError(f"its weight {name!r} is too large for half precision")
            item = numpy_helper.from_array(value.astype(np.float16), target)
            self.weights[target] = item
            self.graph.initializer.append(item)
        return target
