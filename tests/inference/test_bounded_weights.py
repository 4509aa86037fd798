"""What an int8 model answers is right where products of bytes are added in 16 bits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from stream.inference import content as loading
from stream.inference import providers
from stream.inference.bounded_weights import with_bounded_weights
from stream.inference.catalogue import find, open_model
from stream.inference.content import content
from stream.system.cpu import Processor
from stream.types import Array
from tests import tiny_models

LEVEL, ANSWER = np.float32(0.02), np.float32(0.2)
SIDE = 4
KINDS = ("pointwise", "square", "odd", "grouped", "depthwise", "Gemm", "transposed", "MatMul")


def model(kind: str, weights: Array, scales: Array, *, zero: int = 0, twice: bool = False) -> bytes:
    """An int8 layer as `stream export` writes one: bytes go in, bytes come out."""
    sums = kind in ("Gemm", "transposed", "MatMul")
    channels = weights.shape[1 if kind in ("Gemm", "MatMul") else 0]
    axis = 1 if kind in ("Gemm", "MatMul") else 0
    units = (LEVEL * scales).astype(np.float32)
    held = {
        "level": LEVEL,
        "none": np.uint8(0),
        "weights": weights,
        "scales": scales,
        "zeros": np.full(scales.shape, zero, np.int8),
        "sums": np.broadcast_to(np.rint(3 / units), (channels,)).astype(np.int32),
        "units": units,
        "answer": ANSWER,
        "middle": np.uint8(128),
    }
    group = {"grouped": 2, "depthwise": channels}.get(kind, 1)
    make = helper.make_node
    entered = ["wide", "floats", *(["biases"] if kind != "MatMul" else [])]
    settings: dict[str, object] = {"transB": 1} if kind == "transposed" else {}
    if not sums:
        settings = {"group": group, "kernel_shape": weights.shape[2:]}
    name = "Gemm" if kind == "transposed" else kind if sums else "Conv"
    outputs = ["one", *(["other"] if twice else [])]
    nodes = [
        make("DequantizeLinear", ["image", "level", "none"], ["wide"]),
        make("DequantizeLinear", ["weights", "scales", "zeros"], ["floats"], axis=axis),
        make("DequantizeLinear", ["sums", "units"], ["biases"], axis=0),
    ]
    for one in outputs:
        nodes += [
            make(name, entered, [f"{one}.sums"], **settings),
            make("QuantizeLinear", [f"{one}.sums", "answer", "middle"], [f"{one}.bytes"]),
            make("DequantizeLinear", [f"{one}.bytes", "answer", "middle"], [one]),
        ]
    shape = [None] * weights.ndim
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info(one, TensorProto.FLOAT, shape) for one in outputs],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in held.items()],
    )
    opset = [helper.make_opsetid("", 18)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())


def made(kind: str, weights: Array | None = None, each: bool = True) -> tuple[bytes, Array]:
    """A layer whose weights do not fit, and a picture of bytes for it."""
    random = np.random.default_rng(5)
    shape = {
        "pointwise": (8, 32, 1, 1),
        "square": (8, 16, 3, 3),
        "odd": (8, 3, 3, 3),
        "grouped": (8, 8, 3, 3),
        "depthwise": (16, 1, 3, 3),
        "Gemm": (64, 8),
        "transposed": (8, 64),
        "MatMul": (64, 8),
    }[kind]
    if weights is None:
        weights = random.integers(-127, 128, shape).astype(np.int8)
    axis = 1 if kind in ("Gemm", "MatMul") else 0
    scales = random.uniform(0.001, 0.004, weights.shape[axis] if each else ()).astype(np.float32)
    side = {"grouped": 16, "depthwise": 16}.get(kind, shape[1])
    picture = (1, side, SIDE, SIDE) if len(shape) == 4 else (3, 64)
    return model(kind, weights, scales), random.integers(128, 256, picture).astype(np.uint8)


def whole(layer: bytes) -> bytes:
    """The same layer as one that takes and gives bytes: QLinearConv, QLinearMatMul or QGemm."""
    held = onnx.load_from_string(layer)
    adds = next(node for node in held.graph.node if node.output[0] == "one.sums")
    told = {one.name: helper.get_attribute_value(one) for one in adds.attribute}
    domain = "com.microsoft" if adds.op_type == "Gemm" else ""
    read = ["image", "level", "none", "weights", "scales", "zeros"]
    ends = ["answer", "middle"]
    order = [*read, "sums", *ends] if adds.op_type == "Gemm" else [*read, *ends]
    if adds.op_type == "Conv":
        order.append("sums")
    name = "QGemm" if adds.op_type == "Gemm" else f"QLinear{adds.op_type}"
    joined = helper.make_node(name, order, ["one.bytes"], domain=domain, **told)
    (last,) = (node for node in held.graph.node if node.output[0] == "one")
    del held.graph.node[:]
    held.graph.node.extend([joined, last])
    held.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return bytes(held.SerializeToString())


def signed(layer: bytes) -> bytes:
    """The same layer, which takes and gives bytes with a sign."""
    held = onnx.load_from_string(layer)
    held.graph.input[0].type.tensor_type.elem_type = TensorProto.INT8
    for one in held.graph.initializer:
        if one.name in ("none", "middle"):
            zero = numpy_helper.to_array(one).astype(int) - 128
            one.CopyFrom(numpy_helper.from_array(zero.astype(np.int8), one.name))
    return bytes(held.SerializeToString())


def answers(held: bytes, picture: Array) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(held, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["one"], {"image": picture})[0], np.float32)


def stored(held: bytes) -> dict[str, Array]:
    """The tensors that the layers read."""
    graph = onnx.load_from_string(held).graph
    return {one.name: numpy_helper.to_array(one) for one in graph.initializer}


def exact(layer: bytes, picture: Array) -> NDArray[np.float32]:
    """What the same layer answers where nothing is in eight bits but what it reads."""
    held = onnx.load_from_string(layer)
    ends = ("one", "one.bytes")
    kept = [node for node in held.graph.node if node.output[0] not in ends]
    del held.graph.node[:]
    held.graph.node.extend(kept)
    held.graph.node.append(helper.make_node("Identity", ["one.sums"], ["one"]))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        held.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    whole = np.asarray(session.run(["one"], {"image": picture})[0], np.float32)
    return np.clip(np.rint(whole / ANSWER), -128, 127).astype(np.float32) * ANSWER


@pytest.mark.parametrize("each", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_sums_are_right_on_every_processor(kind: str, each: bool) -> None:
    before, picture = made(kind, each=each)
    after = with_bounded_weights(before)
    onnx.checker.check_model(onnx.load_from_string(after))
    if kind == "depthwise":  # its kernels widen first
        assert after is before
    found, right, whole = answers(after, picture), exact(after, picture), exact(before, picture)
    assert len(np.unique(right)) > 10
    # The last bit may be rounded another way; a sum that was cut off is far from right.
    assert np.abs(found - right).max() <= ANSWER
    # Coarser weights move a sum by what their rounding comes to.
    assert np.abs(right - whole).mean() < 0.02 * np.abs(whole).mean() + ANSWER
    assert with_bounded_weights(after) is after


@pytest.mark.parametrize("each", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_layers_that_take_bytes_as_they_are_answer_as_those_in_parts(kind: str, each: bool) -> None:
    parts, picture = made(kind, each=each)
    before = whole(parts)
    after, edited = with_bounded_weights(before), with_bounded_weights(parts)
    if kind == "depthwise":
        assert after is before
        return
    onnx.checker.check_model(onnx.load_from_string(after))
    for place, name in ((3, "floats.bounded.0"), (4, "floats.bounded.1")):
        np.testing.assert_array_equal(
            stored(after)[f"one.bytes.bounded.{place}"], stored(edited)[name]
        )
    assert not {"weights", "scales"} & set(stored(after))
    assert len(np.unique(answers(after, picture))) > 10
    assert np.abs(answers(after, picture) - answers(edited, picture)).max() <= ANSWER
    assert with_bounded_weights(after) is after


@pytest.mark.parametrize("kind", KINDS)
def test_layers_that_take_bytes_with_a_sign_stay_where_those_are_widened(kind: str) -> None:
    parts, picture = made(kind)
    before = signed(whole(parts))
    assert with_bounded_weights(before) is before
    if kind != "depthwise":
        assert with_bounded_weights(before, widens=False) is not before
    found = answers(before, (picture.astype(int) - 128).astype(np.int8))
    assert np.abs(found - exact(parts, picture)).max() <= ANSWER


@pytest.mark.parametrize("parts", [True, False])
@pytest.mark.parametrize("kind", ["pointwise", "square", "odd", "Gemm", "transposed", "MatMul"])
def test_weights_around_another_zero_point_are_bounded_around_0(kind: str, parts: bool) -> None:
    layer, picture = made(kind)
    held = onnx.load_from_string(layer)
    (zeros,) = (one for one in held.graph.initializer if one.name == "zeros")
    moved = np.random.default_rng(2).integers(-60, 61, zeros.dims).astype(np.int8)
    zeros.CopyFrom(numpy_helper.from_array(moved, "zeros"))
    layer = held.SerializeToString()
    before = layer if parts else whole(layer)
    after, right = with_bounded_weights(before), exact(with_bounded_weights(layer), picture)
    onnx.checker.check_model(onnx.load_from_string(after))
    assert len(np.unique(right)) > 10
    assert np.abs(answers(after, picture) - right).max() <= ANSWER
    wanted = exact(layer, picture)
    assert np.abs(right - wanted).mean() < 0.02 * np.abs(wanted).mean() + ANSWER
    assert with_bounded_weights(after) is after


@pytest.mark.parametrize("parts", [True, False])
def test_weights_that_constant_nodes_hold_are_bounded_like_any(parts: bool) -> None:
    layer, picture = made("square")
    before = layer if parts else whole(layer)
    held = onnx.load_from_string(before)
    for one in held.graph.initializer:
        held.graph.node.insert(0, helper.make_node("Constant", [], [one.name], value=one))
    del held.graph.initializer[:]
    after = with_bounded_weights(held.SerializeToString())
    onnx.checker.check_model(onnx.load_from_string(after))
    np.testing.assert_array_equal(
        answers(after, picture), answers(with_bounded_weights(before), picture)
    )
    constants = {one.output[0] for one in onnx.load_from_string(after).graph.node if not one.input}
    assert "zeros" in constants and not {"weights", "scales"} & constants
    assert with_bounded_weights(after) is after


@pytest.mark.parametrize("kind", ["pointwise", "square", "MatMul"])
def test_bytes_with_a_sign_around_layers_of_floats_are_summed_without(kind: str) -> None:
    """ONNX Runtime takes the sign off them, so that their weights are bounded like any."""
    parts, picture = made(kind)
    held = onnx.load_from_string(signed(parts))
    held.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    entry = helper.make_node("QuantizeLinear", ["image", "level", "none"], ["bytes"])
    held.graph.node[0].input[0] = "bytes"
    held.graph.node.insert(0, entry)
    after = with_bounded_weights(held.SerializeToString())
    seen = picture.astype(np.float32) * LEVEL
    found, right = answers(after, seen), exact(with_bounded_weights(parts), picture)
    assert len(np.unique(right)) > 10
    assert np.abs(found - right).max() <= ANSWER


@pytest.mark.parametrize("zero", [None, 0, 7, "each"])
def test_layers_of_whole_numbers_answer_without_loss(zero: int | str | None) -> None:
    random = np.random.default_rng(3)
    weights = random.integers(-127, 128, (64, 8)).astype(np.int8)
    zeros = random.integers(-9, 9, 8) if zero == "each" else np.asarray(zero or 0)
    held = {"weights": weights, **({} if zero is None else {"zeros": zeros.astype(np.int8)})}
    read = ["bytes", "weights", "middle", *(["zeros"] if zero is not None else [])]
    ends = {"one": TensorProto.FLOAT, "bytes": TensorProto.UINT8, "middle": TensorProto.UINT8}
    graph = helper.make_graph(
        [
            helper.make_node("DynamicQuantizeLinear", ["image"], ["bytes", "unit", "middle"]),
            helper.make_node("MatMulInteger", read, ["sums"]),
            helper.make_node("Cast", ["sums"], ["one"], to=TensorProto.FLOAT),
        ],
        "layer",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [None, 64])],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in ends.items()],
        [numpy_helper.from_array(value, key) for key, value in held.items()],
    )
    opset = [helper.make_opsetid("", 18)]
    layer = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    edited = with_bounded_weights(layer)
    assert stored(edited).keys() == {"sums.bounded.1", "sums.bounded.3"}
    assert with_bounded_weights(edited) == edited
    picture = random.uniform(2, 3, (5, 64)).astype(np.float32)
    session = onnxruntime.InferenceSession(edited, providers=["CPUExecutionProvider"])
    found, taken, middle = session.run(list(ends), {"image": picture})
    wanted = (taken.astype(int) - int(middle)) @ (weights.astype(int) - zeros)
    np.testing.assert_array_equal(found, wanted)


def test_what_a_layer_reads_elsewhere_too_stays() -> None:
    parts, picture = made("pointwise", each=False)
    held = onnx.load_from_string(whole(parts))
    (scales,) = (one for one in held.graph.initializer if one.name == "scales")
    scales.CopyFrom(numpy_helper.from_array(np.asarray(LEVEL), "scales"))
    # One tensor for two equal numbers, as tools that tidy up leave it.
    held.graph.node[0].input[1] = "scales"
    del held.graph.initializer[[one.name for one in held.graph.initializer].index("level")]
    after = with_bounded_weights(held.SerializeToString())
    assert stored(after)["scales"] == LEVEL
    assert stored(after)["one.bytes.bounded.4"] > LEVEL
    assert len(np.unique(answers(after, picture))) > 10


@given(
    arrays.arrays(np.int8, (2, 6, 1, 3), elements=st.integers(-128, 127)),
    st.booleans(),
)
def test_two_weights_of_one_sign_fit(weights: NDArray[np.int8], each: bool) -> None:
    scales = np.array([0.5, 2] if each else 0.5, np.float32)
    edited = with_bounded_weights(model("square", weights, scales))
    held = stored(edited)
    now = held.get("floats.bounded.0", weights)
    rows = now.transpose(0, 2, 3, 1).reshape(2, -1).astype(int)
    for sign in (1, -1):
        pairs = np.maximum(sign * rows, 0).reshape(2, -1, 2).sum(2)
        assert pairs.max() <= 128
    # A weight is what it was, to half a step; no step has become more than twice as wide.
    wider = held.get("floats.bounded.1", scales) / scales
    assert (wider >= 1).all() and (wider <= 2.02).all()
    shift = np.abs(now * np.reshape(wider, (-1, 1, 1, 1)) - weights)
    assert (shift <= 0.501 * np.reshape(wider, (-1, 1, 1, 1))).all()
    sums = held.get("biases.bounded.0", held.get("sums"))
    units = held.get("biases.bounded.1", held.get("units"))
    assert sums is not None and units is not None
    np.testing.assert_allclose(sums * units, 3, atol=2 * units.max())


def test_pairs_may_begin_with_each_row_of_the_picture_where_channels_are_odd() -> None:
    for row, column, fits in ((0, 0, 64), (1, 0, 64), (0, 1, None)):
        weights = np.zeros((1, 3, 2, 3), np.int8)
        # Of a row's nine the first and the second, or the fourth and the fifth.
        weights[0, :2, row, column] = 120
        held = stored(with_bounded_weights(model("odd", weights, np.ones(1, np.float32))))
        edited = held.get("floats.bounded.0")
        assert (None if edited is None else edited.max()) == fits


def test_layers_that_share_their_weights_share_what_takes_their_place() -> None:
    weights = np.full((2, 4, 1, 1), 127, np.int8)
    before = model("pointwise", weights, np.ones(2, np.float32), twice=True)
    edited = onnx.load_from_string(with_bounded_weights(before))
    names = [one.name for one in edited.graph.initializer]
    assert names.count("floats.bounded.0") == 1 and "weights" not in names
    assert names.count("biases.bounded.0") == 1 and "sums" not in names


def test_what_fits_or_is_written_otherwise_stays() -> None:
    fits = np.full((2, 4, 1, 1), 64, np.int8)
    scales = np.ones(2, np.float32)
    over = np.full((2, 4, 1, 1), 127, np.int8)
    for untouched in (
        model("pointwise", fits, scales),
        model("pointwise", over.astype(np.uint8), scales).replace(b"zeros", b"none\0"),
    ):
        assert with_bounded_weights(untouched) is untouched
    with pytest.raises(ValueError, match=r"no ONNX file|ends within"):
        with_bounded_weights(b"not a model")


def test_a_bias_that_other_layers_have_too_keeps_the_weights() -> None:
    over = np.full((2, 4, 1, 1), 127, np.int8)
    shared = onnx.load_from_string(model("pointwise", over, np.ones(2, np.float32)))
    shared.graph.node.append(helper.make_node("Neg", ["biases"], ["elsewhere"]))
    held = shared.SerializeToString()
    assert with_bounded_weights(held) is held


def test_it_is_done_for_int8_on_processors_without_vnni(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_models.nothing(tmp_path / "m.onnx")
    plain = open_model(tmp_path / "m.onnx")[1]
    quantised = find("default.int8").pick()
    here = providers.route("cpu")
    for features, metadata, edited in (
        ({"sse2", "avx2"}, replace(plain, precision="int8"), True),
        ({"sse2"}, replace(plain, precision="int8"), True),
        ({"sse2", "avx2", "vnni"}, replace(plain, precision="int8"), False),
        ({"dotprod"}, replace(plain, precision="int8"), False),
        ({"sse2", "avx2"}, plain, False),
    ):
        machine = Processor("a processor", 2, frozenset(features))
        monkeypatch.setattr(loading, "processor", lambda machine=machine: machine)
        assert isinstance(content(here, quantised, metadata), bytes) is edited
        # What a device computes is not this processor's matter.
        assert content(replace(here, shared=None), quantised, metadata) == str(quantised)


def test_a_file_that_cannot_be_edited_is_opened_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Processor("a processor", 2, frozenset({"sse2"}))
    monkeypatch.setattr(loading, "processor", lambda: machine)
    path = tmp_path / "m.int8.onnx"
    metadata = replace(open_model(tiny_models.nothing(tmp_path / "m.onnx"))[1], precision="int8")
    path.write_bytes(b"no model")
    assert content(providers.route("cpu"), path, metadata) == str(path)
