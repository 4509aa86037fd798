"""The int8 model's rewrites answer as what they replace."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from stream.errors import ModelError
from stream_models.fewer_passes import join_proposals, lay_out_bytes

make = helper.make_node
SCALES = {"fine": 0.1, "coarse": 0.07}


def quantised(name: str, scale: float, held: dict[str, Any]) -> list[onnx.NodeProto]:
    held[f"{name}.scale"], held[f"{name}.zero"] = np.float32(scale), np.uint8(0)
    ends = [f"{name}.scale", f"{name}.zero"]
    return [
        make("QuantizeLinear", [name, *ends], [f"{name}.q"], f"{name}/Q"),
        make("DequantizeLinear", [f"{name}.q", *ends], [f"{name}.d"], f"{name}/DQ"),
    ]


def pyramid() -> onnx.ModelProto:
    """Two levels, laid out in an atlas that regions are pooled from, and what else reads them."""
    random = np.random.default_rng(3)
    held: dict[str, Any] = {
        "fine.pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64),
        "coarse.pads": np.array([0, 0, 1, 1, 0, 0, 5, 1], np.int64),
        "rois": np.array([[1, 1, 7, 8], [12, 1, 15, 4], [0.5, 3, 9, 4]], np.float32),
        "batch": np.zeros(3, np.int64),
        "rows": np.array([3, -1], np.int64),
        "w": random.integers(-127, 128, (4, 2, 1, 1)).astype(np.int8),
        "w.scale": random.uniform(0.002, 0.01, 4).astype(np.float32),
        "w.zero": np.zeros(4, np.int8),
    }
    nodes: list[onnx.NodeProto] = [
        make("DequantizeLinear", ["w", "w.scale", "w.zero"], ["w.d"], "w/DQ", axis=0)
    ]
    for name, scale in SCALES.items():
        held[f"{name}.b"] = random.integers(-2000, 2000, 4).astype(np.int32)
        held[f"{name}.units"] = (scale * held["w.scale"]).astype(np.float32)
        held[f"{name}.none"] = np.zeros(4, np.int32)
        nodes += quantised(name, scale, held)
        nodes += [
            make("Pad", [f"{name}.d", f"{name}.pads"], [f"{name}.pad"], f"{name}/P", mode="edge"),
            make(
                "DequantizeLinear",
                [f"{name}.b", f"{name}.units", f"{name}.none"],
                [f"{name}.bias"],
                f"{name}/B",
                axis=0,
            ),
            make("Conv", [f"{name}.d", "w.d", f"{name}.bias"], [f"{name}.sums"], f"{name}/Conv"),
        ]
    nodes += [
        make("Concat", ["fine.pad", "coarse.pad"], ["atlas"], "Concat", axis=3),
        make(
            "RoiAlign",
            ["atlas", "rois", "batch"],
            ["pooled"],
            "RoiAlign",
            output_height=3,
            output_width=3,
            sampling_ratio=1,
        ),
        make("Reshape", ["pooled", "rows"], ["flat"], "Reshape"),
        *quantised("flat", 0.09, held),
    ]
    maps = {"fine": [1, 2, 8, 8], "coarse": [1, 2, 4, 4]}
    answers = {"flat.d": [3, 18], "fine.sums": [1, 4, 8, 8], "coarse.sums": [1, 4, 4, 4]}
    return model(nodes, maps, answers, held)


def proposals() -> onnx.ModelProto:
    """A map that two layers read, as each level's is."""
    random = np.random.default_rng(4)
    held: dict[str, Any] = {}
    for name, count in (("logits", 3), ("deltas", 12)):
        held[f"{name}.w"] = random.normal(size=(count, 5, 1, 1)).astype(np.float32)
        held[f"{name}.b"] = random.normal(size=count).astype(np.float32)
    nodes = quantised("map", 0.1, held)
    nodes += [
        make(
            "Conv",
            ["map.d", f"{name}.w", f"{name}.b"],
            [name],
            f"network.proposals.{name}/Conv",
            kernel_shape=[1, 1],
        )
        for name in ("deltas", "logits")
    ]
    answers = {"logits": [1, 3, 6, 7], "deltas": [1, 12, 6, 7]}
    return model(nodes, {"map": [1, 5, 6, 7]}, answers, held)


def model(
    nodes: list[onnx.NodeProto],
    maps: dict[str, list[int]],
    outputs: dict[str, list[int]],
    held: dict[str, Any],
) -> onnx.ModelProto:
    def ends(names: dict[str, list[int]]) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in names.items()
        ]

    graph = helper.make_graph(
        nodes,
        "part",
        ends(maps),
        ends(outputs),
        [numpy_helper.from_array(np.asarray(value), name) for name, value in held.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def answers(part: onnx.ModelProto) -> list[NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(
        part.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    random = np.random.default_rng(5)
    given = {
        one.name: random.uniform(0, 15, one.shape).astype(np.float32)
        for one in session.get_inputs()
    }
    return [np.asarray(one, np.float32) for one in session.run(None, given)]


def kinds(part: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in part.graph.node)


def test_an_atlas_of_bytes_is_pooled_as_one_of_float_numbers() -> None:
    before = pyramid()
    after = lay_out_bytes(before)
    assert kinds(after)["Cast"] == 1
    # The maps are only dequantised for the layers beside the atlas.
    readers = {name for node in after.graph.node if node.op_type == "Pad" for name in node.input}
    assert {"fine.q", "coarse.q"} <= readers
    (pooled, *sums), (same, *others) = answers(before), answers(after)
    # Levels are rounded in steps of 0.1, the pooled in steps of 0.09.
    assert np.abs(pooled - same).max() < 0.1
    assert np.abs(pooled - same).mean() < 0.03
    for one, other in zip(sums, others, strict=True):
        assert np.abs(one - other).max() < 0.1


def test_one_layer_proposes_what_two_did() -> None:
    before = proposals()
    after = join_proposals(before)
    assert (kinds(before)["Conv"], kinds(after)["Conv"]) == (2, 1)
    for one, other in zip(answers(before), answers(after), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_other_models_are_refused() -> None:
    with pytest.raises(ModelError, match="pools no regions"):
        lay_out_bytes(proposals())
    with pytest.raises(ModelError, match="proposes no regions"):
        join_proposals(pyramid())
    unlike = pyramid()
    zero = next(item for item in unlike.graph.initializer if item.name == "coarse.zero")
    zero.CopyFrom(numpy_helper.from_array(np.asarray(np.uint8(7)), zero.name))
    with pytest.raises(ModelError, match="pyramid"):
        lay_out_bytes(unlike)
