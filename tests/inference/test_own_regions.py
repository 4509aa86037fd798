"""Regions of bytes that compiled loops compute are the same to the last bit as ONNX Runtime's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stream import kernels
from stream.inference.own_layers import DOMAIN
from stream.inference.own_regions import with_own_regions
from stream.types import Array

if kernels.layers() is None:
    pytest.skip(
        f"no compiled regions: {kernels.examined()[1]}, or an old processor",
        allow_module_level=True,
    )

ROWS, COLUMNS = 11, 17


@dataclass(frozen=True)
class Graph:
    """A picture, how it becomes floats, its regions, and what becomes of them."""

    channels: int = 16
    size: tuple[int, int] = (7, 7)
    samples: int = 1
    scale: float = 0.5
    half: bool = True
    cast: bool = False
    planes: bool = False
    atlas: bool = False
    mode: str = "avg"
    bytes_kind: type = np.uint8

    def model(self) -> bytes:
        nodes = [helper.make_node("Transpose", ["picture"], ["planes"], perm=(0, 3, 1, 2))]
        held: dict[str, Any] = {
            "level": np.array(0.037, np.float32),
            "zero": np.array(4, self.bytes_kind),
            "out_level": np.array(0.6 if self.cast else 0.03, np.float32),
            "out_zero": np.array(9, self.bytes_kind),
        }
        name = "planes"
        if self.atlas:
            held["margins"] = np.array([0, 0, 1, 2, 0, 0, 3, 1], np.int64)
            nodes += [
                helper.make_node("Pad", ["planes", "margins"], ["padded"], mode="edge"),
                helper.make_node("Concat", ["padded", "padded"], ["joined"], axis=3),
                helper.make_node("Concat", ["joined", "joined"], ["atlas"], axis=-2),
            ]
            name = "atlas"
        if self.cast:
            nodes.append(helper.make_node("Cast", [name], ["floats"], to=TensorProto.FLOAT))
        else:
            nodes.append(helper.make_node("DequantizeLinear", [name, "level", "zero"], ["floats"]))
        how = "half_pixel" if self.half else "output_half_pixel"
        nodes += [
            helper.make_node(
                "RoiAlign",
                ["floats", "boxes", "which"],
                ["regions"],
                mode=self.mode,
                output_height=self.size[0],
                output_width=self.size[1],
                sampling_ratio=self.samples,
                spatial_scale=self.scale,
                coordinate_transformation_mode=how,
            ),
            helper.make_node("QuantizeLinear", ["regions", "out_level", "out_zero"], ["levels"]),
        ]
        if not self.planes:
            nodes.append(helper.make_node("Transpose", ["levels"], ["pixels"], perm=(0, 2, 3, 1)))
        nodes.append(
            helper.make_node("Identity", ["levels" if self.planes else "pixels"], ["answer"])
        )
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(self.bytes_kind))
        graph = helper.make_graph(
            nodes,
            "regions",
            [
                helper.make_tensor_value_info(
                    "picture", kind, [None, ROWS, COLUMNS, self.channels]
                ),
                helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [None, 4]),
                helper.make_tensor_value_info("which", TensorProto.INT64, [None]),
            ],
            [helper.make_tensor_value_info("answer", kind, [None] * 4)],
            [numpy_helper.from_array(value, one) for one, value in held.items()],
        )
        if self.cast:
            # So that it is seen to be of bytes without a sign, as what a layer makes is.
            graph.node.insert(0, _layer(self.channels))
            graph.node[1].input[0] = "made"
            graph.initializer.extend(_layer_tensors(self.channels))
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
        opsets.append(helper.make_opsetid(DOMAIN, 1))
        made = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        return bytes(made.SerializeToString())


def _layer(channels: int) -> onnx.NodeProto:
    names = ["picture", *(one.name for one in _layer_tensors(channels))]
    return helper.make_node(
        "QLinearConv", names, ["made"], domain="com.microsoft", channels_last=1, kernel_shape=(1, 1)
    )


def _layer_tensors(channels: int) -> list[onnx.TensorProto]:
    one, none = np.array(1, np.float32), np.array(0, np.uint8)
    values = {
        "a": one,
        "b": none,
        "c": np.eye(channels, dtype=np.int8).reshape(channels, channels, 1, 1),
        "d": one,
        "e": np.array(0, np.int8),
        "f": one,
        "g": none,
        "h": np.zeros(channels, np.int32),
    }
    return [numpy_helper.from_array(value, f"layer.{name}") for name, value in values.items()]


def run(model: bytes, inputs: dict[str, Array], threads: int = 1) -> list[Array]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.register_custom_ops_library(str(kernels.compiled().path))
    handle = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return handle.run(None, inputs)  # type: ignore[no-any-return]


def inputs(graph: Graph, count: int = 40, pictures: int = 2) -> dict[str, Array]:
    """Boxes of all kinds: within, across an edge, beside it, empty, upside down, enormous."""
    random = np.random.default_rng(5)
    size = np.array([COLUMNS, ROWS, COLUMNS, ROWS]) / graph.scale
    boxes = random.uniform(-0.4, 1.4, (count, 4)) * size
    boxes[::3, 2:] = boxes[::3, :2] + random.uniform(0, 0.6, (len(boxes[::3]), 2)) * size[:2]
    if count > 3:
        boxes[1], boxes[2] = (3, 3, 3, 3), (-1e6, -1e6, 1e6, 1e6)
        boxes[3] = (0, 0, size[0], size[1])
    held = random.integers(0, 256, (pictures, ROWS, COLUMNS, graph.channels))
    return {
        "picture": held.astype(graph.bytes_kind),
        "boxes": boxes.astype(np.float32),
        "which": random.integers(0, pictures, count).astype(np.int64),
    }


GRAPHS = [
    Graph(),
    Graph(planes=True),
    Graph(cast=True, planes=True, size=(3, 5)),
    Graph(cast=True, atlas=True, channels=96, size=(14, 14)),
    Graph(atlas=True, samples=2, channels=24),
    Graph(half=False, samples=3, scale=1.0, channels=8),
    Graph(channels=5, size=(1, 1), scale=0.0625),
    Graph(channels=33, size=(2, 9), planes=True, half=False),
]


@pytest.mark.parametrize("graph", GRAPHS, ids=str)
@pytest.mark.parametrize("threads", [1, 2])
def test_answers_are_the_same_to_the_last_bit(graph: Graph, threads: int) -> None:
    made = with_own_regions(graph.model())
    kinds = {node.op_type for node in onnx.load_from_string(made).graph.node}
    assert "Regions" in kinds
    assert not kinds & {"RoiAlign", "Cast", "DequantizeLinear", "QuantizeLinear", "Transpose"}
    told = inputs(graph)
    (before,) = run(graph.model(), told)
    (after,) = run(made, told, threads)
    assert len(np.unique(before)) > 12
    np.testing.assert_array_equal(after, before)


def test_no_region_at_all_is_answered_by_none() -> None:
    graph = GRAPHS[0]
    (answer,) = run(with_own_regions(graph.model()), inputs(graph, 0))
    assert answer.shape == (0, *graph.size, graph.channels)


def test_a_region_of_no_picture_is_refused() -> None:
    graph = GRAPHS[0]
    told = inputs(graph) | {"which": np.full(40, 2, np.int64)}
    with pytest.raises(Exception, match="a region is of no picture"):
        run(with_own_regions(graph.model()), told)


@pytest.mark.parametrize("name", ["floats", "regions", "levels", "levels again"])
def test_what_something_else_reads_is_made_as_before(name: str) -> None:
    graph = Graph()
    held = onnx.load_from_string(graph.model())
    if name == "levels again":
        held.graph.node.append(helper.make_node("Identity", ["levels"], [name]))
    kind = TensorProto.UINT8 if "levels" in name else TensorProto.FLOAT
    held.graph.output.append(helper.make_tensor_value_info(name, kind, [None] * 4))
    model, told = bytes(held.SerializeToString()), inputs(graph)
    made = with_own_regions(model)
    assert (made is model) == (name == "regions")
    for before, after in zip(run(model, told), run(made, told), strict=True):
        np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize(
    "graph",
    [
        Graph(mode="max"),
        Graph(samples=0),  # as many as a box is large
        Graph(bytes_kind=np.int8),
        replace(Graph(), cast=True, bytes_kind=np.int8),
    ],
    ids=str,
)
def test_other_regions_stay(graph: Graph) -> None:
    model = graph.model()
    assert with_own_regions(model) is model


@pytest.mark.parametrize("kind", ["Transpose", "Pad", "Concat", "QuantizeLinear"])
def test_pictures_and_answers_of_another_kind_stay(kind: str) -> None:
    held = onnx.load_from_string(Graph(atlas=True).model())
    (one, *_) = (node for node in held.graph.node if node.op_type == kind)
    one.op_type = "Other"
    model = bytes(held.SerializeToString())
    assert with_own_regions(model) is model


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ONNX file|file ends"):
        with_own_regions(b"no model at all")
