"""The weights of a frozen TensorFlow graph, by layer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from stream.types import Array
from stream_export.checkpoints.graphdef import GraphNode
from stream_export.checkpoints.weights import Weights

# Slim's names of a layer's parts in torch's.
_PARTS = {
    "weights": "weight",
    "biases": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "depthwise_weights": "depthwise",
    "pointwise_weights": "pointwise",
}


def without_import(nodes: Mapping[str, GraphNode]) -> dict[str, GraphNode]:
    """Nodes without the `import/` that reading a graph into another puts before every name."""
    while nodes and all(name.startswith("import/") for name in nodes):
        nodes = {
            name.removeprefix("import/"): GraphNode(
                node.op,
                # A control input has a caret before its name.
                tuple(re.sub(r"^(\^?)import/", r"\1", one) for one in node.inputs),
                node.value,
            )
            for name, node in nodes.items()
        }
    return dict(nodes)


def frozen_weights(path: Path, nodes: Mapping[str, GraphNode]) -> Weights:
    """Slim's layers of a frozen graph.

    Args:
        path: of the graph, for messages.
        nodes: as `read_graphdef` gives them.

    Returns:
        The weights as `scope/layer.part` with torch's names of the parts and torch's order of
        axes; separable convolutions have the parts depthwise, [C, multiplier, kh, kw], and
        pointwise, [out, C * multiplier]. A batch normalisation without gamma gets one of ones.
    """
    found: dict[str, Array] = {}
    for name, node in without_import(nodes).items():
        scope, _, last = name.rpartition("/")
        if node.value is None or node.value.dtype.kind != "f":
            continue
        if last not in _PARTS:
            # Of a layer that is not slim's: kept, so that nobody leaves it out unseen. What was a
            # variable before freezing is read through a node of its own.
            if f"{name}/read" in nodes or f"{name}/ReadVariableOp" in nodes:
                found[f"{scope}.{last}"] = node.value
            continue
        value = node.value
        if last == "depthwise_weights":
            value = value.transpose(2, 3, 0, 1)
        elif last == "pointwise_weights":
            value = value[0, 0].T
        elif value.ndim == 4:
            value = value.transpose(3, 2, 0, 1)
        elif value.ndim == 2:
            value = value.T
        found[f"{scope}.{_PARTS[last]}"] = value
    for name in [name for name in found if name.endswith(".running_var")]:
        scope = name.removesuffix(".running_var")
        found.setdefault(f"{scope}.weight", np.ones_like(found[name]))
    return Weights(path, found)
