"""Enlargements that are copies are spelt as such, and answer to the last bit as before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stream.inference.quick_resizes import with_quick_resizes
from stream.types import Array
from tests.inference.test_wide_first_layer import run

NEAREST = {
    "mode": "nearest",
    "coordinate_transformation_mode": "asymmetric",
    "nearest_mode": "floor",
}


def resizing(scales: Sequence[float], kind: int = TensorProto.UINT8, **how: str) -> bytes:
    """A model that resizes its picture."""
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["values"], to=kind),
            helper.make_node("Resize", ["values", "", "scales"], ["large"], **(NEAREST | how)),
            helper.make_node("Cast", ["large"], ["answer"], to=TensorProto.FLOAT),
        ],
        "resizing",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 6, 10, 3])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, [None] * 4)],
        [numpy_helper.from_array(np.array(scales, np.float32), "scales")],
    )
    opsets = [helper.make_opsetid("", 19)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    return bytes(model.SerializeToString())


def look(model: bytes) -> list[dict[str, Array]]:
    import onnxruntime

    handle = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [one.name for one in handle.get_outputs()]
    return [dict(zip(names, handle.run(names, {"image": PICTURE[None]}), strict=True))]


PICTURE = np.random.default_rng(3).integers(0, 256, (6, 10, 3)).astype(np.uint8)


@pytest.mark.parametrize("scales", [(1, 2, 2, 1), (1, 4, 4, 1), (1, 3, 1, 1), (1, 1, 2, 1)])
@pytest.mark.parametrize("kind", [TensorProto.UINT8, TensorProto.INT8, TensorProto.FLOAT])
def test_copies_are_the_same_to_the_last_bit(scales: tuple[int, ...], kind: int) -> None:
    model = resizing(scales, kind)
    quick = with_quick_resizes(model, look)
    made = onnx.load_from_string(quick)
    onnx.checker.check_model(made)
    assert {node.op_type for node in made.graph.node} == {"Cast", "Concat", "Reshape"}
    before = run(model, PICTURE)
    assert before.shape == (6 * scales[1], 10 * scales[2], 3)
    np.testing.assert_array_equal(before, run(quick, PICTURE))


@pytest.mark.parametrize(
    "model",
    [
        resizing((1, 2, 2, 1), TensorProto.FLOAT, mode="linear"),
        resizing((1, 1.5, 1.5, 1)),
        resizing((1, 0.5, 0.5, 1)),
        resizing((1, 1, 1, 1)),
        resizing((1, 1, 2, 2)),  # channels too
        resizing((1, 2, 2, 1), nearest_mode="ceil"),  # copies of the next one
    ],
    ids=["smooth", "no whole number", "smaller", "the same", "channels", "shifted"],
)
def test_what_is_no_copy_stays(model: bytes) -> None:
    assert with_quick_resizes(model, look) is model


def test_a_shape_that_the_picture_decides_stays() -> None:
    model = resizing((1, 2, 2, 1))

    def two(watched: bytes) -> list[dict[str, Array]]:
        (seen,) = look(watched)
        return [seen, {name: value[:, : value.shape[1] // 2] for name, value in seen.items()}]

    assert with_quick_resizes(model, two) is model


def test_without_values_nothing_is_known() -> None:
    def nothing(watched: bytes) -> list[dict[str, Array]]:
        return [{name: value[:0] for name, value in look(watched)[0].items()}]

    model = resizing((1, 2, 2, 1))
    assert with_quick_resizes(model, nothing) is model
