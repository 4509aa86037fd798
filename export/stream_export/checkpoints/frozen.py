"""The weights of a frozen TensorFlow graph, by layer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    found: dict[str, NDArray[Any]] = {}
    for name, node in nodes.items():
        scope, _, last = name.rpartition("/")
        if node.value is None or last not in _PARTS or node.value.dtype.kind != "f":
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
