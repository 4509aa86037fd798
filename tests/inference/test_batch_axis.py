"""Which operators keep several pictures apart: each is run on several and on each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from stream.inference.batch_axis import Role, follow
from stream.inference.batched import of_picture, with_batch
from tests.inference.test_onnx_graph import read

RANDOM = np.random.default_rng(3)
COUNT = 3
HEIGHT, WIDTH = 6, 8


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def floats(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def make(kind: str, inputs: str, output: str = "y", **attributes: Any) -> onnx.NodeProto:
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(kind, names, output.split(), **attributes)


Case = tuple[Sequence[onnx.NodeProto], dict[str, np.ndarray]]

TOGETHER: dict[str, Case] = {
    "activation": ([make("Sigmoid", "x")], {}),
    "limits": ([make("Clip", "x low high")], {"low": np.float32(0), "high": np.float32(1)}),
    "numbers": ([make("Add", "x c")], {"c": floats(4, 1, 1)}),
    "one number": ([make("Mul", "x c")], {"c": np.float32(3)}),
    "one cell along the first axis": ([make("Sub", "c x")], {"c": floats(1, 4, 1, WIDTH)}),
    "two of them": ([make("Tanh", "x", "t"), make("Div", "x t")], {}),
    "choice": (
        [make("Greater", "x c", "more"), make("Where", "more x d")],
        {"c": np.float32(0), "d": floats(WIDTH)},
    ),
    "slopes": ([make("PRelu", "x c")], {"c": floats(4, 1, 1)}),
    "wider": ([make("Conv", "x w", pads=[1] * 4)], {"w": floats(5, 4, 3, 3)}),
    "upwards": ([make("ConvTranspose", "x w", strides=[2, 2])], {"w": floats(4, 2, 2, 2)}),
    "largest": ([make("MaxPool", "x", kernel_shape=[2, 2])], {}),
    "mean": ([make("GlobalAveragePool", "x")], {}),
    "norm": (
        [make("BatchNormalization", "x a b c d")],
        {"a": floats(4), "b": floats(4), "c": floats(4), "d": np.abs(floats(4))},
    ),
    "of the instance": (
        [make("InstanceNormalization", "x a b")],
        {"a": floats(4), "b": floats(4)},
    ),
    "rounded": (
        [make("QuantizeLinear", "x s z", "q"), make("DequantizeLinear", "q s z")],
        {"s": np.float32(0.1), "z": np.uint8(100)},
    ),
    "rounded by channel": (
        [make("QuantizeLinear", "x s z", "q", axis=1), make("DequantizeLinear", "q s z", axis=1)],
        {"s": np.abs(floats(4)) + 0.1, "z": np.zeros(4, np.int8)},
    ),
    "one scale in a list": (
        [make("QuantizeLinear", "x s z", "q"), make("DequantizeLinear", "q s z")],
        {"s": np.full(1, 0.1, np.float32), "z": np.zeros(1, np.uint8)},
    ),
    "channels joined": ([make("Concat", "x x", axis=1)], {}),
    "columns joined from the end": ([make("Concat", "x x", axis=-1)], {}),
    "axes in another order": ([make("Transpose", "x", perm=[0, 2, 3, 1])], {}),
    "larger by factors": (
        [make("Resize", "x - f", mode="nearest")],
        {"f": np.array([1, 1, 2, 2], np.float32)},
    ),
    "larger to sides": ([make("Resize", "x - - s", mode="linear")], {"s": ints(1, 4, 9, 11)}),
    "larger to another's sides": (
        [
            make("MaxPool", "x", "small", kernel_shape=[2, 2], strides=[2, 2]),
            make("Shape", "small", "two", end=2),
            make("Shape", "x", "all"),
            make("Slice", "all from to", "rest"),
            make("Concat", "two rest", "sides", axis=0),
            make("Resize", "small - - sides", mode="nearest"),
        ],
        {"from": ints(2), "to": ints(4)},
    ),
    "flat, one of each": ([make("Reshape", "x s")], {"s": ints(1, -1, 4)}),
    "flat, as many as there are": ([make("Reshape", "x s")], {"s": ints(0, -1)}),
    "flat, and back to its own sides": (
        [
            make("Shape", "x", "sides"),
            make("Reshape", "x s", "flat"),
            make("Reshape", "flat sides"),
        ],
        {"s": ints(0, 2, -1)},
    ),
    "columns by places, weighted, as torchvision enlarges": (
        [
            make("Shape", "x", "sides", start=2),
            make("Gather", "sides last", "width"),
            make("Range", "zero width one", "places"),
            make("Cast", "places", "number", to=TensorProto.FLOAT),
            make("Mul", "number half", "source"),
            make("Floor", "source", "low"),
            make("Sub", "source low", "weight"),
            make("Reshape", "weight across", "weights"),
            make("Cast", "low", "picked", to=TensorProto.INT64),
            make("Gather", "x picked", "left", axis=3),
            make("Mul", "left weights"),
        ],
        {
            "last": np.int64(1),
            "zero": np.int64(0),
            "one": np.int64(1),
            "half": np.float32(0.5),
            "across": ints(1, 1, 1, -1),
        },
    ),
    "a channel by its place": ([make("Gather", "x c", axis=1)], {"c": np.int64(2)}),
    "a table of channels": ([make("Gather", "x c", axis=-3)], {"c": ints(0, 2).reshape(1, 2)}),
    "flat by its own operator": ([make("Flatten", "x")], {}),
    "a part of the columns": (
        [make("Slice", "x from to along")],
        {"from": ints(1), "to": ints(5), "along": ints(-1)},
    ),
    "halves": ([make("Split", "x", "y z", axis=1), make("Identity", "z", "unused")], {}),
    "margins": ([make("Pad", "x m")], {"m": ints(0, 0, 1, 1, 0, 0, 0, 2)}),
    "margins that follow from the size": (
        [
            make("Shape", "x", "columns", start=3),
            make("Concat", "none columns", "m", axis=0),
            make("Pad", "x m", mode="constant"),
        ],
        {"none": ints(*[0] * 7)},
    ),
    "sums": ([make("ReduceSum", "x a", keepdims=0)], {"a": ints(1, -1)}),
    "means": ([make("ReduceMean", "x", axes=[2], keepdims=1)], {}),
    "an axis more, and less": (
        [make("Unsqueeze", "x a", "u"), make("Squeeze", "u a")],
        {"a": ints(2)},
    ),
    "shares": ([make("Softmax", "x", axis=1)], {}),
    "normed at the end": ([make("LayerNormalization", "x s")], {"s": floats(WIDTH)}),
    "times a matrix": ([make("MatMul", "x c")], {"c": floats(WIDTH, 5)}),
    "a matrix times it": ([make("MatMul", "c x")], {"c": floats(5, HEIGHT)}),
    "times each other": (
        [make("Transpose", "x", "t", perm=[0, 1, 3, 2]), make("MatMul", "x t")],
        {},
    ),
    "a layer": (
        [make("Flatten", "x", "flat"), make("Gemm", "flat w b", transB=1)],
        {"w": floats(5, 4 * HEIGHT * WIDTH), "b": floats(5)},
    ),
    "moved into the middle": ([make("DepthToSpace", "x", blocksize=2)], {}),
}

ALONE: dict[str, Case] = {
    "numbers of more axes": ([make("Add", "x c")], {"c": floats(1, 1, 4, 1, 1)}),
    "numbers for several": ([make("Mul", "x c")], {"c": floats(2, 4, 1, 1)}),
    "numbers that may be several": (
        [
            make("Shape", "x", "sides"),
            make("Cast", "sides", "floats", to=TensorProto.FLOAT),
            make("Reshape", "floats column", "of"),
            make("Mul", "x of"),
        ],
        {"column": ints(-1, 1, 1, 1)},
    ),
    "joined along the first axis": ([make("Concat", "x x", axis=0)], {}),
    "joined from the end along the first": ([make("Concat", "x x", axis=-4)], {}),
    "joined with the file's own": ([make("Concat", "x c", axis=1)], {"c": floats(1, 2, 6, 8)}),
    "turned round": ([make("Transpose", "x")], {}),
    "channels first": ([make("Transpose", "x", perm=[1, 0, 2, 3])], {}),
    "flat to sides that were computed": (
        [
            make("Shape", "x", "sides"),
            make("Slice", "sides from to", "some"),
            make("Concat", "some last", "new", axis=0),
            make("Reshape", "x new"),
        ],
        {"from": ints(1), "to": ints(2), "last": ints(-1)},
    ),
    "all flat": ([make("Reshape", "x s")], {"s": ints(-1, 4)}),
    "flat from the first axis on": ([make("Flatten", "x", axis=0)], {}),
    "flat to the third": ([make("Flatten", "x", axis=2)], {}),
    "shares along the first axis": ([make("Softmax", "x", axis=0)], {}),
    "the largest of all": ([make("ReduceMax", "x", keepdims=0)], {}),
    "the largest of the first axis": ([make("ReduceMax", "x", axes=[0, 1], keepdims=0)], {}),
    "where the largest is": ([make("MaxPool", "x", "y where", kernel_shape=[2, 2])], {}),
    "the first of them": ([make("Gather", "x c", axis=0)], {"c": np.int64(0)}),
    "no axis of one cell": ([make("Squeeze", "x a")], {"a": ints(0)}),
    "an axis in front": ([make("Unsqueeze", "x a")], {"a": ints(0)}),
    "a part of the first axis": (
        [make("Slice", "x from to")],
        {"from": ints(0, 1), "to": ints(1, 3)},
    ),
    "a margin in front": ([make("Pad", "x m")], {"m": ints(1, 0, 0, 0, 0, 0, 0, 0)}),
    "more of the first axis": (
        [make("Resize", "x - f", mode="nearest")],
        {"f": np.array([2, 1, 1, 1], np.float32)},
    ),
    "rounded along the first axis": (
        [make("QuantizeLinear", "x s", "q", axis=0), make("DequantizeLinear", "q s", axis=0)],
        {"s": np.full(1, 0.1, np.float32)},
    ),
    "split along the first axis": (
        [make("Concat", "x x", "two", axis=0), make("Split", "two", "y z", axis=0)],
        {},
    ),
    "times itself": (
        [
            make("Flatten", "x", "flat"),
            make("MatMul", "flat w", "m"),
            make("Gemm", "m m", transA=1),
        ],
        {"w": floats(4 * HEIGHT * WIDTH, 3)},
    ),
    "what there is": ([make("NonZero", "x")], {}),
}


def model_of(case: Case, opset: int = 17) -> bytes:
    """A picture seen through a convolution, and what is made of that."""
    nodes, constants = case
    weights = {"first": floats(4, 3, 3, 3), **constants}
    before = [
        make("Cast", "image", "levels", to=TensorProto.FLOAT),
        make("Transpose", "levels", "planes", perm=[0, 3, 1, 2]),
        make("Conv", "planes first", "x", pads=[1] * 4),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [*before, *nodes],
        "case",
        [value("image", TensorProto.UINT8, [1, HEIGHT, WIDTH, 3])],
        [value("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(one), name) for name, one in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    made.graph.output[0].type.tensor_type.elem_type = _type_of(made)
    content: bytes = made.SerializeToString()
    return content


def _type_of(model: onnx.ModelProto) -> int:
    """What an output is of; NonZero alone gives no float numbers."""
    (kind,) = (one.op_type for one in model.graph.node if "y" in one.output)
    return TensorProto.INT64 if kind == "NonZero" else TensorProto.FLOAT


def opened(content: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def role_of(content: bytes, name: str) -> Role:
    graph = read(content)
    return follow(graph.nodes, graph.stored)[0][name].role


def check_the_same(content: bytes) -> None:
    """Several pictures at once have the answers that each has by itself."""
    alone, together = opened(content), opened(with_batch(content, COUNT))
    pictures = [RANDOM.integers(0, 256, (1, HEIGHT, WIDTH, 3), np.uint8) for _ in range(COUNT)]
    found = together.run(None, {of_picture("image", at): one for at, one in enumerate(pictures)})
    assert len(found) == COUNT
    for one, got in zip(pictures, found, strict=True):
        (wanted,) = alone.run(None, {"image": one})
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-4)
        assert got.shape == wanted.shape


@pytest.mark.parametrize("name", TOGETHER)
def test_what_treats_pictures_alike_runs_once(name: str) -> None:
    content = model_of(TOGETHER[name])
    assert role_of(content, "y") is Role.TOGETHER
    check_the_same(content)


@pytest.mark.parametrize("name", ALONE)
def test_what_mixes_pictures_runs_for_each(name: str) -> None:
    content = model_of(ALONE[name])
    assert role_of(content, "x") is Role.TOGETHER
    assert role_of(content, "y") is Role.ALONE
    check_the_same(content)


def test_what_follows_from_the_size_is_there_once() -> None:
    nodes = [make("Shape", "x", "sides"), make("Cast", "sides", "y", to=TensorProto.FLOAT)]
    content = model_of((nodes, {}))
    assert role_of(content, "y") is Role.SHARED
    check_the_same(content)


def test_what_the_file_says_itself_is_there_for_each() -> None:
    content = model_of(([make("Identity", "c")], {"c": floats(2, 4)}))
    assert role_of(content, "y") is Role.STORED
    check_the_same(content)


def test_another_domains_operators_are_not_known() -> None:
    content = model_of(([make("Relu", "x", domain="com.example")], {}))
    assert role_of(content, "y") is Role.ALONE


def test_graphs_within_a_graph_are_refused() -> None:
    value = helper.make_tensor_value_info
    inner = helper.make_graph(
        [make("Identity", "x", "then")], "inner", [], [value("then", TensorProto.FLOAT, None)]
    )
    content = model_of(
        ([make("If", "c", then_branch=inner, else_branch=inner)], {"c": np.bool_(1)})
    )
    with pytest.raises(ValueError, match="it has a If"):
        with_batch(content, 2)
