"""Shapes of small tensors, against those that the operators give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from stream.inference.onnx_nodes import read_node
from stream.inference.onnx_shapes import Shape, listed, shape_of

Values = dict[str, np.ndarray]

TABLE = np.arange(12, dtype=np.int64).reshape(3, 1, 4)
CASES: list[tuple[str, Values, dict[str, Any], Shape | None]] = [
    ("Floor", {"a": np.ones((1, 3), np.float32)}, {}, (1, 3)),
    ("Cast", {"a": TABLE}, {"to": 1}, (3, 1, 4)),
    ("Add", {"a": TABLE, "b": np.array([2])}, {}, (None, 1, None)),
    ("Mul", {"a": np.array(2), "b": np.array(3)}, {}, ()),
    ("Where", {"a": np.array(True), "b": TABLE, "c": TABLE[:1]}, {}, (None, 1, None)),
    ("Concat", {"a": TABLE, "b": TABLE}, {"axis": 1}, (3, None, 4)),
    ("Concat", {"a": TABLE, "b": TABLE}, {"axis": -1}, (3, 1, None)),
    ("Gather", {"a": TABLE, "b": np.array(0)}, {"axis": 0}, (1, 4)),
    ("Gather", {"a": TABLE, "b": np.array([[0, 0]])}, {"axis": -2}, (3, 1, 2, 4)),
    ("Range", {"a": np.array(0), "b": np.array(4), "c": np.array(1)}, {}, (None,)),
    ("ReduceMax", {"a": TABLE}, {"axes": [1], "keepdims": 0}, (3, 4)),
    ("ReduceMin", {"a": TABLE}, {"axes": [-1]}, (3, 1, 1)),
    ("ReduceProd", {"a": TABLE}, {"keepdims": 0}, ()),
    ("ReduceSum", {"a": TABLE, "b": np.array([0])}, {"keepdims": 1}, (1, 1, 4)),
    ("Squeeze", {"a": TABLE, "b": np.array([1])}, {}, (3, 4)),
    ("Squeeze", {"a": np.ones((1, 1))}, {}, ()),
    ("Unsqueeze", {"a": TABLE, "b": np.array([0, -1])}, {}, (1, 3, 1, 4, 1)),
    ("Reshape", {"a": TABLE, "b": np.array([1, -1, 6])}, {}, (1, None, None)),
    ("Reshape", {"a": TABLE, "b": np.array([0, 4])}, {}, (None, None)),
    ("Shape", {"a": TABLE}, {}, (None,)),
    ("Shape", {"a": TABLE}, {"start": 1, "end": 2}, (1,)),
    ("Slice", {"a": TABLE, "b": np.array([1]), "c": np.array([2])}, {}, (None, None, None)),
    ("Constant", {}, {"value_int": 3}, ()),
    ("Constant", {}, {"value_ints": [3]}, (None,)),
    ("NonZero", {"a": TABLE}, {}, None),
]


@pytest.mark.parametrize(("kind", "given", "attributes", "wanted"), CASES)
def test_axes_are_as_many_and_cells_of_one_are_of_one(
    kind: str, given: Values, attributes: dict[str, Any], wanted: Shape | None
) -> None:
    made = helper.make_node(kind, list(given), ["y"], **attributes)
    node = read_node(memoryview(made.SerializeToString()))
    numbers = [[float(number) for number in np.ravel(one)] for one in given.values()]
    found = shape_of(node, [one.shape for one in given.values()], numbers)
    assert found == wanted
    opset = [helper.make_opsetid("", 17)]
    value = helper.make_empty_tensor_value_info("y")
    held = [numpy_helper.from_array(one, name) for name, one in given.items()]
    graph = helper.make_graph([made], "one", [], [value], held)
    model = helper.make_model(graph, opset_imports=opset)
    (real,) = ReferenceEvaluator(model).run(None, {})
    if found is not None:
        assert len(found) == real.ndim
        assert all(side in (None, actual) for side, actual in zip(found, real.shape, strict=True))


def test_what_is_not_known_is_not_guessed() -> None:
    def node(kind: str, **attributes: Any) -> Any:
        return read_node(
            memoryview(helper.make_node(kind, ["a", "b"], ["y"], **attributes).SerializeToString())
        )

    assert shape_of(node("Add"), [(1,), None], [None, None]) is None
    assert shape_of(node("Reshape"), [(3,), (2,)], [None, None]) is None
    assert shape_of(node("Squeeze"), [(1, None), (1,)], [None, None]) is None
    assert shape_of(node("Unsqueeze"), [(3,), (1,)], [None, None]) is None
    assert shape_of(node("ReduceSum"), [(3,), (1,)], [None, None]) is None
    assert shape_of(node("Add", domain="com.example"), [(1,), (1,)], [None, None]) is None
    assert listed(node("Shape", start=-1), 4) == (1,)
