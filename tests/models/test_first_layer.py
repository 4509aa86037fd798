"""The int8 first layer that reads bytes answers as the one it replaces, and nearer to the truth."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from stream.errors import ModelError
from stream_models.first_layer import take_bytes

HEIGHT, WIDTH, COUNT = 32, 64, 8
ANSWER = 6 / 255


def layer(pads: list[int], weights: NDArray[np.int8], scales: NDArray[np.float32]) -> bytes:
    """The beginning of a quantised model: the picture, the network's scale, and one convolution."""
    level, count = np.float32(1 / 127.5), len(weights)
    bias = np.linspace(-0.5, 1, count)
    units = (level * scales).astype(np.float32)
    limits = np.iinfo(np.int32)
    whole = np.clip(np.round(bias / units), limits.min, limits.max).astype(np.int32)
    held = {
        "level": level,
        "one": np.float32(1),
        "zero": np.uint8(128),
        "weight": weights,
        "scales": scales,
        "no": np.zeros(count, np.int8),
        "bias": whole,
        "units": units,
        "nothing": np.zeros(count, np.int32),
        "answer": np.float32(ANSWER),
        "first": np.uint8(0),
    }
    make = helper.make_node
    nodes = [
        make("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        make("Cast", ["planes"], ["wide"], to=TensorProto.FLOAT),
        make("Mul", ["wide", "level"], ["scaled"]),
        make("Sub", ["scaled", "one"], ["taken"]),
        make("QuantizeLinear", ["taken", "level", "zero"], ["coarse"]),
        make("DequantizeLinear", ["coarse", "level", "zero"], ["input"]),
        make("DequantizeLinear", ["weight", "scales", "no"], ["weights"], axis=0),
        make("DequantizeLinear", ["bias", "units", "nothing"], ["biases"], axis=0),
        make(
            "Conv",
            ["input", "weights", "biases"],
            ["sums"],
            "network.backbone.stem/Conv",
            pads=pads,
            strides=[2, 2],
            kernel_shape=[3, 3],
        ),
        make("QuantizeLinear", ["sums", "answer", "first"], ["bytes"]),
        make("DequantizeLinear", ["bytes", "answer", "first"], ["boxes"]),
    ]
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, "height", "width", 3])],
        [
            helper.make_tensor_value_info(
                "boxes", TensorProto.FLOAT, [1, "channels", "rows", "columns"]
            )
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in held.items()],
    )
    opset = [helper.make_opsetid("", 18)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())


def run(model: bytes, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"image": picture[None]})
    return np.asarray(found[0], np.float32)


@pytest.mark.parametrize("pads", [[0, 0, 1, 1], [1, 1, 1, 1]])
def test_it_answers_as_before_and_nearer_to_the_truth(pads: list[int]) -> None:
    random = np.random.default_rng(1)
    # So that two products fit into 16 bits, in which processors without VNNI add them.
    weights = random.integers(-64, 65, (COUNT, 3, 3, 3)).astype(np.int8)
    scales = random.uniform(0.004, 0.02, COUNT).astype(np.float32)
    # As in the bundled model: a channel that is always silent.
    weights[1], scales[1] = 64, 14e-8
    picture = random.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    model = layer(pads, weights, scales)
    fast = take_bytes(onnx.load_from_string(model))
    before, after = run(model, picture), run(fast.SerializeToString(), picture)
    assert before.shape == after.shape == (COUNT, HEIGHT // 2, WIDTH // 2)

    taken = np.pad(
        picture.astype(np.float64) / 127.5 - 1, ((pads[0], pads[2]), (pads[1], pads[3]), (0, 0))
    )
    exact = np.zeros(before.shape)
    bias = np.linspace(-0.5, 1, COUNT)
    for y in range(HEIGHT // 2):
        for x in range(WIDTH // 2):
            around = taken[2 * y : 2 * y + 3, 2 * x : 2 * x + 3].transpose(2, 0, 1)
            exact[:, y, x] = (weights * around).sum((1, 2, 3)) * scales + bias
    exact = np.clip(exact, 0, 6)
    inner = (slice(None), slice(1, -1), slice(1, -1))
    new, old = np.abs(after - exact)[inner], np.abs(before - exact)[inner]
    assert new.max() < 0.51 * ANSWER
    assert new.mean() < old.mean()
    # A cell beyond the picture reads half a level too much.
    assert np.abs(after - exact).max() < 2 * ANSWER


def test_other_models_are_refused() -> None:
    weights = np.ones((2, 3, 3, 3), np.int8)
    model = onnx.load_from_string(layer([0, 0, 1, 1], weights, np.ones(2, np.float32)))
    next(node for node in model.graph.node if node.op_type == "Conv").name = "other/Conv"
    with pytest.raises(ModelError, match="first layer"):
        take_bytes(model)
