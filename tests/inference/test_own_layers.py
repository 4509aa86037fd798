"""Int8 layers that compiled loops compute answer to the last bit as ONNX Runtime's."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from stream import kernels
from stream.errors import ModelError
from stream.inference.own_layers import with_own_layers
from stream.inference.own_operators import with_own_operators
from stream.kernels.convolve import Way
from stream.types import Array

_found = kernels.layers()
if _found is None:
    pytest.skip(
        f"no compiled layers: {kernels.examined()[1]}, or an old processor", allow_module_level=True
    )
LOOPS: kernels.Kernels = _found
WAYS = LOOPS.ways()


@dataclass(frozen=True)
class Layer:
    """One layer: what it reads, and how."""

    channels: int = 16
    answers: int = 16
    group: int = 1
    kernel: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (1, 1, 1, 1)
    size: tuple[int, int] = (9, 13)
    zero: int = 0
    out_zero: int = 128
    heavy: bool = False
    most: int = 64
    bare: tuple[bool, ...] = (False,)
    one_scale: bool = False

    def numbers(self) -> dict[str, Array]:
        random = np.random.default_rng(7)
        shape = (self.answers, self.channels // self.group, *self.kernel)
        weights = random.normal(0, 40 if self.heavy else 10, shape)
        weights = np.clip(weights * self.most / 64, -self.most, min(self.most, 127))
        weights[np.resize(self.bare, len(weights))] = 0
        scales = random.uniform(0.001, 0.004, self.answers).astype(np.float32)
        scales = scales[:1] if self.one_scale else scales
        return {
            "level": np.array(0.02, np.float32),
            "zero": np.array(self.zero, np.uint8),
            "weights": np.rint(weights).astype(np.int8),
            "scales": scales,
            "zeros": np.zeros(len(scales), np.int8),
            "out_level": np.array(0.05, np.float32),
            "out_zero": np.array(self.out_zero, np.uint8),
            "bias": random.integers(-9000, 9000, self.answers).astype(np.int32),
        }

    def model(self, channels_last: int = 1, auto_pad: str = "NOTSET", **other: Array) -> bytes:
        held = self.numbers() | other
        node = helper.make_node(
            "QLinearConv",
            ["picture", *held],
            ["answer"],
            domain="com.microsoft",
            kernel_shape=self.kernel,
            strides=self.strides,
            dilations=self.dilations,
            pads=self.pads,
            group=self.group,
            channels_last=channels_last,
            auto_pad=auto_pad,
        )
        kind = TensorProto.INT8 if held["zero"].dtype == np.int8 else TensorProto.UINT8
        sides = [None, *self.size, self.channels]
        graph = helper.make_graph(
            [node],
            "layer",
            [helper.make_tensor_value_info("picture", kind, sides)],
            [helper.make_tensor_value_info("answer", kind, [None] * 4)],
            [numpy_helper.from_array(value, name) for name, value in held.items()],
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        made = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        return bytes(made.SerializeToString())

    def pictures(self, count: int) -> Array:
        random = np.random.default_rng(count)
        return random.integers(0, 256, (count, *self.size, self.channels)).astype(np.uint8)

    def expected(self, pictures: Array) -> Array:
        """What comes out, by NumPy: in whole numbers, then in 32 bits as ONNX Runtime does it."""
        held = self.numbers()
        above, left, below, right = self.pads
        margins = ((0, 0), (above, below), (left, right), (0, 0))
        padded = np.pad(pictures, margins, constant_values=self.zero).astype(np.int64) - self.zero
        high, wide = self.kernel
        down, across = self.dilations
        rows = (padded.shape[1] - (high - 1) * down - 1) // self.strides[0] + 1
        columns = (padded.shape[2] - (wide - 1) * across - 1) // self.strides[1] + 1
        sums = np.zeros((len(pictures), rows, columns, self.answers), np.int64) + held["bias"]
        for y in range(high):
            for x in range(wide):
                seen = padded[
                    :,
                    y * down : y * down + (rows - 1) * self.strides[0] + 1 : self.strides[0],
                    x * across : x * across + (columns - 1) * self.strides[1] + 1 : self.strides[1],
                ]
                filters = held["weights"][:, :, y, x].astype(np.int64)
                sums += seen * filters[:, 0] if self.group > 1 else seen @ filters.T
        factors = held["level"] * held["scales"] / held["out_level"]
        levels = np.rint(sums.astype(np.float32) * factors).astype(np.int64) + self.out_zero
        return np.clip(levels, 0, 255).astype(np.uint8)


def run(model: bytes, pictures: Array, threads: int = 1, **others: Array) -> Array:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.register_custom_ops_library(str(kernels.compiled().path))
    handle = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (answer,) = handle.run(None, {"picture": pictures, **others})
    return answer  # type: ignore[no-any-return]


def edited(
    layer: Layer, model: bytes | None = None, way: Way = WAYS[0], *, every: bool = True
) -> bytes:
    """The layer's model as it is edited, what it answers compared on two pictures."""
    pictures = layer.pictures(2)

    def look(model: bytes) -> Sequence[dict[str, Array]]:
        try:
            return [{"answer": run(model, pictures)}]
        except Exception as error:
            raise ModelError(str(error)) from error

    before = layer.model() if model is None else model
    return with_own_operators(before, lambda: look(before), look, LOOPS, way, every=every)


def unedited(model: bytes) -> bool:
    return with_own_layers(model, LOOPS, WAYS[0], every=True) is model


def kinds(model: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(model).graph.node]


OWN = [
    Layer(group=16),
    Layer(48, 48, 48, strides=(2, 2)),
    Layer(32, 32, 32, size=(4, 37), zero=3),
    Layer(32, 32, 32, size=(1, 1), zero=140, out_zero=0),
    Layer(16, 16, 16, strides=(2, 2), size=(2, 2), pads=(0, 0, 1, 1), zero=9),
    Layer(144, 144, 144, pads=(0, 0, 0, 0), size=(3, 40)),
    Layer(16, 16, 16, pads=(2, 3, 4, 5), zero=77),
    Layer(16, 16, 16, strides=(2, 2), pads=(1, 1, 0, 0), size=(30, 33), heavy=True),
    Layer(112, 112, 112, strides=(2, 2), size=(5, 41), zero=200),
    Layer(80, 80, 80, pads=(4, 4, 4, 4), size=(1, 2), zero=31, heavy=True),
]
ALL = [
    Layer(kernel=(1, 1), pads=(0, 0, 0, 0)),
    Layer(4, 8, kernel=(1, 1), pads=(0, 0, 0, 0), size=(2, 3)),
    Layer(24, 96, kernel=(1, 1), pads=(0, 0, 0, 0), zero=126, heavy=True),
    Layer(96, 24, kernel=(1, 1), pads=(0, 0, 0, 0), strides=(2, 2)),
    Layer(64, 64, zero=130, heavy=True),
    Layer(32, 40, strides=(2, 1), size=(8, 21)),
    Layer(12, 64, kernel=(3, 2), pads=(0, 0, 1, 1), strides=(2, 1), zero=128, out_zero=0),
    Layer(16, 32, dilations=(2, 3), pads=(2, 3, 2, 3)),
    Layer(16, 8, size=(1, 1), zero=255),
    Layer(8, 56, kernel=(5, 1), pads=(0, 0, 0, 0), size=(5, 8)),
    Layer(20, 160, kernel=(1, 3), pads=(0, 1, 0, 1), size=(17, 10), zero=10),
    Layer(16, 16, pads=(4, 4, 4, 4), size=(3, 5), zero=50),
    Layer(8, 112, kernel=(1, 1), pads=(0, 1, 2, 3), size=(9, 18), zero=99),
    Layer(8, 88, pads=(1, 1, 1, 1), size=(70, 11), heavy=True),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layer", [*OWN, *ALL], ids=str)
@pytest.mark.parametrize(("count", "threads"), [(1, 1), (3, 2)])
def test_answers_are_the_same_to_the_last_bit(
    layer: Layer, count: int, threads: int, way: Way
) -> None:
    made = edited(layer, way=way)
    assert kinds(made) == ["Shallow" if layer.group > 1 else "Deep"]
    kept = {one.name for one in onnx.load_from_string(made).graph.initializer}
    assert not kept & set(layer.numbers()), "weights that nothing reads are left"
    pictures = layer.pictures(count)
    answer = run(made, pictures, threads)
    expected = layer.expected(pictures)
    assert len(np.unique(expected)) > 3
    np.testing.assert_array_equal(answer, expected)
    np.testing.assert_array_equal(run(layer.model(), pictures), expected)


@pytest.mark.parametrize("answers", [8, 16, 24, 32, 48, 64])
def test_rows_of_any_length_are_answered(answers: int) -> None:
    """Each length is computed in other pieces, the last of which begins where it fits."""
    for columns in range(7, 35):
        layer = Layer(8, answers, kernel=(1, 3), pads=(0, 1, 0, 1), size=(2, columns))
        pictures = layer.pictures(1)
        for way in WAYS:
            made = with_own_operators(layer.model(), list, lambda _: [], LOOPS, way, every=True)
            answer = run(made, pictures)
            np.testing.assert_array_equal(answer, layer.expected(pictures), f"{columns}, {way!r}")


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    """Any layer that the loops know, with any of its filters bare."""

    def some(low: int, high: int) -> int:
        return draw(st.integers(low, high))

    own = draw(st.booleans())
    channels = 16 * some(1, 9) if own else 4 * some(1, 12)
    kernel = (3, 3) if own else (some(1, 7), some(1, 7))
    strides = (some(1, 2),) * 2 if own else (some(1, 3), some(1, 3))
    dilations = (1, 1) if own else (some(1, 3), some(1, 3))
    pads = (some(0, 6), some(0, 6), some(0, 6), some(0, 6))
    reach = [(side - 1) * apart + 1 for side, apart in zip(kernel, dilations, strict=True)]
    least = [max(1, reach[at] - pads[at] - pads[at + 2]) for at in (0, 1)]
    eights = st.lists(st.booleans(), min_size=1, max_size=6)
    return Layer(
        channels,
        channels if own else 8 * some(1, 20),
        channels if own else 1,
        kernel,
        strides,
        dilations,
        pads,
        (least[0] + some(0, 8), least[1] + some(0, 40)),
        draw(st.sampled_from([0, 1, 127, 128, 255])),
        draw(st.sampled_from([0, 1, 128, 255])),
        draw(st.booleans()),
        bare=tuple(np.repeat(draw(eights), 8).tolist()),
        one_scale=draw(st.booleans()),
    )


@given(layers(), st.integers(0, 3), st.integers(1, 2))
def test_any_layer_is_answered_as_numpy_does(layer: Layer, count: int, threads: int) -> None:
    pictures = layer.pictures(count)
    for way in WAYS:
        # Sums of two products in 16 bits do not reach as far.
        same = layer if way is Way.PAIRED else replace(layer, most=128)
        made = with_own_operators(same.model(), list, lambda _: [], LOOPS, way, every=True)
        assert kinds(made) == ["Shallow" if layer.group > 1 else "Deep"]
        np.testing.assert_array_equal(run(made, pictures, threads), same.expected(pictures))


@pytest.mark.parametrize("way", WAYS)
def test_pictures_smaller_than_the_filters_are_refused(way: Way) -> None:
    """As ONNX Runtime refuses them; the whole program came to its end instead."""
    for group, strides, size in product((1, 16), ((1, 1), (2, 2)), ((1, 1), (2, 9), (9, 2))):
        layer = Layer(16, 16, group, strides=strides, size=size, pads=(0, 0, 0, 0))
        made = with_own_operators(layer.model(), list, lambda _: [], LOOPS, way, every=True)
        assert kinds(made) == ["Shallow" if group > 1 else "Deep"]
        with pytest.raises(Exception, match="smaller than a layer's filters"):
            run(made, layer.pictures(1))
        with pytest.raises(Exception, match="Invalid input shape"):
            run(layer.model(), layer.pictures(1))


@pytest.mark.parametrize("layer", [OWN[0], ALL[0]], ids=str)
def test_no_picture_at_all_is_answered_by_none(layer: Layer) -> None:
    made = edited(layer)
    assert run(made, layer.pictures(0)).shape == (0, *layer.size, layer.answers)


@pytest.mark.parametrize("layer", [OWN[1], ALL[4]], ids=str)
def test_several_threads_at_once_get_their_own_answers(layer: Layer) -> None:
    from concurrent.futures import ThreadPoolExecutor

    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(str(kernels.compiled().path))
    handle = onnxruntime.InferenceSession(
        edited(layer), options, providers=["CPUExecutionProvider"]
    )
    several = [layer.pictures(count) for count in (1, 2, 3, 4)] * 8
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda one: handle.run(None, {"picture": one})[0], several))
    for pictures, answer in zip(several, answers, strict=True):
        np.testing.assert_array_equal(answer, layer.expected(pictures))


LEVELS = {
    "own_level": np.array(0.05, np.float32),
    "own_zero": np.array(128, np.uint8),
    "other_level": np.array(0.0313, np.float32),
    "other_zero": np.array(77, np.uint8),
    "sum_level": np.array(0.061, np.float32),
    "sum_zero": np.array(120, np.uint8),
}


def summed(layer: Layer, *, own_first: bool = True, ends: bool = False, sides: int = 4) -> bytes:
    """The layer's model with something else added to what it answers."""
    made = onnx.load_from_string(layer.model())
    graph = made.graph
    graph.node[0].output[0] = "own"
    own, other = ["own", "own_level", "own_zero"], ["other", "other_level", "other_zero"]
    read = [*own, *other] if own_first else [*other, *own]
    adds = helper.make_node("QLinearAdd", [*read, "sum_level", "sum_zero"], ["answer"])
    adds.domain = "com.microsoft"
    graph.node.append(adds)
    kind = TensorProto.UINT8
    graph.input.append(helper.make_tensor_value_info("other", kind, [None] * sides))
    graph.initializer.extend(numpy_helper.from_array(one, name) for name, one in LEVELS.items())
    if ends:
        graph.output.append(helper.make_tensor_value_info("own", kind, [None] * 4))
    return bytes(made.SerializeToString())


def added(own: Array, other: Array, *, own_first: bool) -> Array:
    """QLinearAdd by NumPy: the first product and what is added to it are rounded once."""
    values = {"own": own, "other": other}
    order = ("own", "other") if own_first else ("other", "own")
    shares = [LEVELS[f"{name}_level"] / LEVELS["sum_level"] for name in order]
    zeros = [LEVELS[f"{name}_zero"].astype(np.float32) for name in order]
    below = np.float64(shares[0]) * zeros[0] + np.float64(shares[1] * zeros[1])
    fixed = LEVELS["sum_zero"].astype(np.float32) - below.astype(np.float32)
    total = fixed.astype(np.float64)
    for name, share in reversed([*zip(order, shares, strict=True)]):
        total = (values[name] * share.astype(np.float64) + total).astype(np.float32).astype(float)
    return np.clip(np.rint(total), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("own_first", [True, False])
@pytest.mark.parametrize("layer", [ALL[0], ALL[1], ALL[4], ALL[8], ALL[13]], ids=str)
@pytest.mark.parametrize(("count", "threads"), [(1, 1), (3, 2)])
def test_what_is_added_to_answers_is_added_with_them(
    layer: Layer, count: int, threads: int, way: Way, own_first: bool
) -> None:
    model = summed(layer, own_first=own_first)
    made = with_own_layers(model, LOOPS, way, every=True)
    assert [one.split("/")[0] for one in kinds(made)] == ["Summed"]
    made = with_domain(made)
    pictures = layer.pictures(count)
    own = layer.expected(pictures)
    other = np.random.default_rng(3).integers(0, 256, own.shape).astype(np.uint8)
    answer = run(made, pictures, threads, other=other)
    expected = added(own, other, own_first=own_first)
    assert len(np.unique(expected)) > 3
    np.testing.assert_array_equal(answer, expected)
    np.testing.assert_array_equal(run(model, pictures, other=other), expected)


def with_domain(model: bytes) -> bytes:
    made = onnx.load_from_string(model)
    made.opset_import.append(helper.make_opsetid("stream", 1))
    return bytes(made.SerializeToString())


def test_answers_that_others_read_too_are_added_by_the_runtime() -> None:
    layer = ALL[0]
    assert kinds(with_own_layers(summed(layer, ends=True), LOOPS, WAYS[0], every=True)) == [
        "Deep",
        "QLinearAdd",
    ]


def test_of_two_layers_that_are_added_one_adds_the_other() -> None:
    layer = ALL[4]
    made = onnx.load_from_string(summed(layer))
    second = helper.make_node("QLinearConv", [*made.graph.node[0].input], ["other"])
    second.CopyFrom(made.graph.node[0])
    second.output[0] = "other"
    made.graph.node.insert(0, second)
    del made.graph.input[1]
    model = bytes(made.SerializeToString())
    pictures = layer.pictures(1)
    one = edited(layer, model)
    assert kinds(one) == ["Deep", "Summed"]
    own = layer.expected(pictures)
    np.testing.assert_array_equal(run(one, pictures), added(own, own, own_first=True))


def test_what_is_spread_over_answers_is_added_by_the_runtime(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One pixel that is added to all is seen only when the model runs."""
    layer = ALL[0]
    pixel = np.random.default_rng(5).integers(0, 256, (1, 1, 1, 16)).astype(np.uint8)
    made = onnx.load_from_string(summed(layer))
    del made.graph.input[1]
    made.graph.initializer.append(numpy_helper.from_array(pixel, "other"))
    model = bytes(made.SerializeToString())
    with caplog.at_level(logging.INFO):
        one = edited(layer, model)
    assert kinds(one) == ["Deep", "QLinearAdd"]
    pictures = layer.pictures(2)
    expected = added(layer.expected(pictures), pixel, own_first=True)
    np.testing.assert_array_equal(run(one, pictures), expected)


def test_where_sums_are_wide_only_filters_of_their_own_are_taken() -> None:
    assert kinds(edited(OWN[0], every=False)) == ["Shallow"]
    model = ALL[0].model()
    assert edited(ALL[0], model, every=False) is model


@pytest.mark.parametrize(
    ("layer", "other"),
    [
        (Layer(24, 24, 24), {}),  # channels that do not fill a register
        (Layer(16, 16, 16, kernel=(5, 5), pads=(2, 2, 2, 2)), {}),
        (Layer(16, 16, 16, dilations=(2, 2), pads=(2, 2, 2, 2)), {}),
        (Layer(16, 16, 16, strides=(2, 1)), {}),
        (Layer(16, 16, 16, strides=(3, 3)), {}),
        (Layer(16, 16, 16, pads=(65, 1, 1, 1)), {}),
        (Layer(pads=(1, 1, 1, 65)), {}),
        (Layer(pads=(1, -1, 1, 1)), {}),  # what is cut off is around no picture
        (Layer(strides=(1,)), {}),  # type: ignore[arg-type]  # as a broken file may have it
        (Layer(16, 16, 4), {}),  # four channels to a filter
        (Layer(32, 16, 16), {}),  # two, and one filter to a group
        (Layer(), {"out_level": np.array(1e-9, np.float32)}),  # sums beyond 32 bits
        (Layer(group=16), {"scales": np.array(np.inf, np.float32), "zeros": np.array(0, np.int8)}),
        (Layer(6, 16), {}),
        (Layer(16, 12), {}),
        (Layer(), {"zeros": np.ones(16, np.int8)}),
        (Layer(), {"weights": np.full((16, 16, 3, 3), 200, np.uint8)}),
        (Layer(), {"zero": np.array(0, np.int8), "out_zero": np.array(0, np.int8)}),
        (Layer(), {"bias": np.full(16, 2**31 - 1, np.int32), "zero": np.array(9, np.uint8)}),
    ],
    ids=str,
)
def test_what_the_loops_do_not_know_stays(layer: Layer, other: dict[str, Array]) -> None:
    model = layer.model(**other)
    assert unedited(model)


@pytest.mark.parametrize("group", [1, 16])
def test_where_nothing_is_said_steps_are_of_one_and_nothing_is_around(group: int) -> None:
    layer = Layer(group=group, pads=(0, 0, 0, 0))
    file = onnx.load_from_string(layer.model())
    (node,) = file.graph.node
    said = {"channels_last", "group"} if group > 1 else {"channels_last"}
    for one in [one for one in node.attribute if one.name not in said]:
        node.attribute.remove(one)
    made = edited(layer, bytes(file.SerializeToString()))
    assert kinds(made) == ["Shallow" if group > 1 else "Deep"]
    pictures = layer.pictures(2)
    np.testing.assert_array_equal(run(made, pictures), layer.expected(pictures))


@pytest.mark.parametrize("group", [1, 16])
def test_margins_that_follow_from_the_size_stay(group: int) -> None:
    assert unedited(Layer(group=group, pads=(0, 0, 0, 0)).model(auto_pad="SAME_UPPER"))


def test_pictures_of_planes_stay() -> None:
    model = Layer(size=(16, 16)).model(channels_last=0)
    assert unedited(model)


def test_what_is_computed_stays() -> None:
    graph = onnx.load_from_string(Layer().model())
    graph.graph.initializer.remove(graph.graph.initializer[-1])
    graph.graph.node.insert(0, helper.make_node("Identity", ["biases"], ["bias"]))
    model = bytes(graph.SerializeToString())
    assert unedited(model)


def test_other_answers_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    model = Layer().model()

    def some(value: int) -> Sequence[dict[str, Array]]:
        return [{"answer": np.full(3, value, np.uint8)}]

    with caplog.at_level(logging.WARNING):
        made = with_own_operators(
            model, lambda: some(0), lambda _: some(1), LOOPS, WAYS[0], every=True
        )
    assert made is model
    assert "answer otherwise" in caplog.text


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ONNX file|file ends"):
        unedited(b"no model at all")
