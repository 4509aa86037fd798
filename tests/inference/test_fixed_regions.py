"""Convolutions of regions that always see the same number of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from stream.inference.catalogue import find
from stream.inference.fixed_regions import STEP, with_fixed_regions
from stream.inference.onnx_file import read_onnx_file
from stream.types import Array

RANDOM = np.random.default_rng(7)


def heads(opset: int = 17, *, halves: bool = False, middle: bool = False) -> bytes:
    """A backbone's convolution, regions pooled twice, and a head with a second way through it.

    Args:
        opset: of ONNX's operators.
        halves: whether weights are kept as halves, with a Cast each.
        middle: whether what is between the head's convolutions comes out too.
    """
    make = helper.make_node
    weights = {
        "body": RANDOM.normal(size=(4, 3, 3, 3)),
        "coarse": RANDOM.normal(size=(4, 4, 3, 3)),
        "fine": RANDOM.normal(size=(4, 4, 3, 3)),
        "up": RANDOM.normal(size=(4, 2, 2, 2)),
    }
    held = [
        numpy_helper.from_array(
            value.astype(np.float16 if halves else np.float32), f"{name}_kept" if halves else name
        )
        for name, value in weights.items()
    ]
    nodes = [
        make("Cast", [f"{name}_kept"], [name], to=TensorProto.FLOAT) for name in weights if halves
    ]
    held += [
        numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice"),
        numpy_helper.from_array(np.array([-1, 7, 7], np.int64), "flat"),
    ]
    pool = {"output_height": 4, "output_width": 4, "sampling_ratio": 1}
    nodes += [
        make("Conv", ["picture", "body"], ["map"], pads=[1] * 4),
        make("RoiAlign", ["map", "rois", "of"], ["small"], **pool),
        # In this order the first convolution's input is not the last that was made.
        make("RoiAlign", ["map", "rois", "of"], ["large"], **pool),
        make("Conv", ["large", "fine"], ["seen"], pads=[1] * 4),
        make("Conv", ["small", "coarse"], ["told"], pads=[1] * 4),
        make("Relu", ["told"], ["lit"]),
        make("Add", ["lit", "seen"], ["both"]),
        make("Resize", ["both", "", "twice"], ["wide"]),
        make("ConvTranspose", ["wide", "up"], ["masks"], strides=[2, 2]),
        make("ReduceMean", ["both"], ["scores"], axes=[1, 2, 3], keepdims=0),
    ]
    value = helper.make_tensor_value_info
    outputs = [
        value("masks", TensorProto.FLOAT, ["regions", 2, 16, 16]),
        value("scores", TensorProto.FLOAT, ["regions"]),
        value("map", TensorProto.FLOAT, [1, 4, "height", "width"]),
    ]
    inputs = [
        value("picture", TensorProto.FLOAT, [1, 3, "height", "width"]),
        value("rois", TensorProto.FLOAT, ["regions", 4]),
        value("of", TensorProto.INT64, ["regions"]),
    ]
    graph = helper.make_graph(nodes, "heads", inputs, outputs, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


def regions(count: int) -> dict[str, Array]:
    corners = RANDOM.uniform(0, 8, (count, 2))
    return {
        "picture": RANDOM.normal(size=(1, 3, 16, 16)).astype(np.float32),
        "rois": np.hstack([corners, corners + 5]).astype(np.float32),
        "of": np.zeros(count, np.int64),
    }


def opened(content: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("halves", [False, True])
def test_answers_stay_the_same_for_any_number_of_regions(halves: bool) -> None:
    content = heads(halves=halves)
    fixed = with_fixed_regions(content)
    onnx.checker.check_model(onnx.load_from_string(fixed), full_check=True)
    plain, edited = opened(content), opened(fixed)
    for count in (0, 1, 2, STEP - 1, STEP, STEP + 1, 3 * STEP):
        asked = regions(count)
        for wanted, got in zip(plain.run(None, asked), edited.run(None, asked), strict=True):
            assert got.shape == wanted.shape
            assert got.size == 0 or np.abs(got - wanted).max() < 1e-4


def test_convolutions_see_one_shape_until_there_are_many() -> None:
    model = onnx.load_from_string(with_fixed_regions(heads()))
    convolutions = [one for one in model.graph.node if one.op_type in ("Conv", "ConvTranspose")]
    for one in convolutions:
        if one.input[0] != "picture":
            model.graph.output.append(
                helper.make_tensor_value_info(one.input[0], TensorProto.FLOAT, None)
            )
    session = opened(model.SerializeToString())
    names = [one.name for one in session.get_outputs()][3:]
    assert len(names) == 3
    for count, seen in ((0, STEP), (1, STEP), (STEP - 1, STEP), (STEP, 2 * STEP)):
        assert {len(one) for one in session.run(names, regions(count))} == {seen}


def test_what_has_no_convolution_of_regions_stays_as_it_is() -> None:
    old = heads(opset=13)
    assert with_fixed_regions(old) is old
    alone = helper.make_graph(
        [helper.make_node("Relu", ["a"], ["b"])],
        "alone",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, [1])],
    )
    content = helper.make_model(alone).SerializeToString()
    assert with_fixed_regions(content) is content


@pytest.mark.parametrize("at", [1, 40, 500])
def test_a_file_cut_short_is_no_onnx_file(at: int) -> None:
    with pytest.raises(ValueError, match=r"no ONNX file|within a number"):
        with_fixed_regions(heads()[:-at])


def test_the_default_model_answers_the_same(tmp_path: Path) -> None:
    content = find("default").pick(("float32",)).read_bytes()
    fixed = with_fixed_regions(content)
    changed = tmp_path / "fixed.onnx"
    changed.write_bytes(fixed)
    assert read_onnx_file(changed).metadata
    from tests import photos

    image = np.ascontiguousarray(photos.astronaut()[None, :384])
    wanted, got = (opened(one).run(None, {"image": image}) for one in (content, fixed))
    assert len(wanted[0])
    for one, other in zip(wanted, got, strict=True):
        assert np.abs(one - other).max() < 1e-4
