"""Tiny ONNX models that keep the contract, for tests that need an answer and no intelligence.

Each builder writes one file and returns its path. All take pictures of any size unless told
otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from stream.inference.contract import Metadata, Resize

NAMES = ("person", "car", "dog")
LETTERBOX = Resize("letterbox", width=64, height=48, padding=114)


def metadata(resize: Resize = LETTERBOX, **changes: object) -> Metadata:
    """What a tiny model says of itself."""
    values: dict[str, object] = {
        "names": NAMES,
        "resize": resize,
        "origin": "made for tests",
        "licence": "Apache-2.0",
        "training_data": "none",
        "accuracy": {"mask AP": 0.0},
    }
    return Metadata(**(values | changes))  # type: ignore[arg-type]


def nothing(path: Path, meta: Metadata | None = None, **options: object) -> Path:
    """A detector that never finds anything."""
    return constant(path, np.zeros((0, 4)), meta=meta, **options)  # type: ignore[arg-type]


def constant(
    path: Path,
    boxes: Sequence[Sequence[float]] | np.ndarray,
    masks: np.ndarray | None = None,
    scores: Sequence[float] | None = None,
    labels: Sequence[int] | None = None,
    meta: Metadata | None = None,
    size: tuple[int | None, int | None] = (None, None),
) -> Path:
    """A detector that always answers the same.

    Args:
        path: where to write it.
        boxes: [N, 4] in pixels of the input.
        masks: [N, M, M], 0..1; full boxes of 28 x 28 by default.
        scores: N, descending; 0.9 and lower by default.
        labels: N; all 0 by default.
        meta: what it says of itself.
        size: the input's fixed (width, height), None where it takes any.
    """
    box = np.asarray(boxes, np.float32).reshape(-1, 4)
    count = len(box)
    answers = {
        "boxes": box,
        "scores": np.asarray(
            np.linspace(0.9, 0.6, count) if scores is None else scores, np.float32
        ).reshape(count),
        "labels": np.asarray([0] * count if labels is None else labels, np.int64).reshape(count),
        "masks": np.ones((count, 28, 28), np.float32)
        if masks is None
        else np.asarray(masks, np.float32),
    }
    nodes = []
    for name, value in answers.items():
        nodes.append(
            helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, name))
        )
    return _write(path, nodes, meta or metadata(), size)


def bright(
    path: Path, threshold: int = 200, meta: Metadata | None = None, *, layer: bool = False
) -> Path:
    """A detector that finds one "person": the bounding box of all pixels brighter than this.

    Its mask is full. It finds nothing in a picture without such pixels. Padding is black by
    default, so that it is never found. With a `layer` it looks through a convolution at the mean of
    the channels.
    """
    meta = meta or metadata(Resize("letterbox", width=64, height=48, interpolation="area"))
    make = helper.make_node
    looks = [
        make("Cast", ["image"], ["image_f"], to=TensorProto.FLOAT),
        make("Transpose", ["image_f"], ["planes"], perm=[0, 3, 1, 2]),
        _constant("mean", np.full((1, 3, 1, 1), 1 / 3, np.float32)),
        make("Conv", ["planes", "mean"], ["grey"]),
        make("ReduceMax", ["grey"], ["level"], axes=[0, 1], keepdims=0),
    ]
    nodes = [
        *(looks if layer else [make("ReduceMax", ["image"], ["level"], axes=[0, 3], keepdims=0)]),
        _constant("threshold", np.array(threshold, np.uint8)),
        make("Cast", ["level"], ["level_i"], to=TensorProto.INT32),
        make("Cast", ["threshold"], ["threshold_i"], to=TensorProto.INT32),
        make("Greater", ["level_i", "threshold_i"], ["is_bright"]),
        make("NonZero", ["is_bright"], ["where"]),  # [2, K]: rows, columns
        # Whether there is any: 0 or 1, the number of instances.
        make("Shape", ["where"], ["where_shape"]),
        _constant("one_index", np.array([1], np.int64)),
        _constant("one", np.array([1], np.int64)),
        make("Gather", ["where_shape", "one_index"], ["found"]),
        make("Min", ["found", "one"], ["count"]),
        # An end is added so that the extremes of nothing are defined; Slice cuts the row off.
        _constant("zeros", np.zeros((2, 1), np.int64)),
        make("Cast", ["found"], ["found_f"], to=TensorProto.FLOAT),
        make("Cast", ["where"], ["where_f"], to=TensorProto.FLOAT),
        _constant("far", np.full((2, 1), 1e6, np.float32)),
        _constant("near", np.full((2, 1), -1.0, np.float32)),
        make("Concat", ["where_f", "far"], ["with_far"], axis=1),
        make("Concat", ["where_f", "near"], ["with_near"], axis=1),
        make("ReduceMin", ["with_far"], ["low"], axes=[1], keepdims=0),
        make("ReduceMax", ["with_near"], ["high"], axes=[1], keepdims=0),
        _constant("one_f", np.array([1.0], np.float32)),
        make("Add", ["high", "one_f"], ["end"]),
        make("Concat", ["low", "end"], ["yxyx"], axis=0),
        _constant("order", np.array([1, 0, 3, 2], np.int64)),
        make("Gather", ["yxyx", "order"], ["xyxy"]),
        _constant("row", np.array([1, 4], np.int64)),
        make("Reshape", ["xyxy", "row"], ["box"]),
        _constant("start", np.array([0], np.int64)),
        make("Slice", ["box", "start", "count"], ["boxes"]),
    ]
    fixed = {
        "scores": np.array([0.9], np.float32),
        "labels": np.array([0], np.int64),
        "masks": np.ones((1, 28, 28), np.float32),
    }
    for name, value in fixed.items():
        nodes += [
            _constant(f"{name}_one", value),
            make("Slice", [f"{name}_one", "start", "count"], [name]),
        ]
    used = {name for node in nodes for name in node.input}
    outputs = {"boxes", "scores", "labels", "masks"}
    nodes = [node for node in nodes if set(node.output) & (used | outputs)]
    return _write(path, nodes, meta, (None, None))


def doubtful(path: Path, meta: Metadata | None = None) -> Path:
    """A detector of one object, the middle of a 64 x 48 input; its score is the mean brightness."""
    make = helper.make_node
    nodes = [
        make("Cast", ["image"], ["image_f"], to=TensorProto.FLOAT),
        make("ReduceMean", ["image_f"], ["mean"], keepdims=0),
        _constant("white", np.array([255.0], np.float32)),
        make("Div", ["mean", "white"], ["scores"]),
        _constant("boxes", np.array([[16, 12, 48, 36]], np.float32)),
        _constant("labels", np.zeros(1, np.int64)),
        _constant("masks", np.ones((1, 28, 28), np.float32)),
    ]
    return _write(path, nodes, meta or metadata(), (None, None))


def slow(path: Path, milliseconds: float = 50.0, meta: Metadata | None = None) -> Path:
    """A detector that finds nothing and takes about this long on one core of about 50 GFLOP/s.

    It multiplies matrices; how long that takes depends on the machine, so measure, do not assume.
    """
    side = 512
    rounds = max(1, round(milliseconds / 1e3 * 50e9 / (2 * side**3)))
    make = helper.make_node
    matrix = np.eye(side, dtype=np.float32)
    nodes = [
        _constant("matrix", matrix),
        # The work depends on the picture, else it would be folded away when the model is opened.
        make("Cast", ["image"], ["image_f"], to=TensorProto.FLOAT),
        make("ReduceMax", ["image_f"], ["peak"], keepdims=0),
        make("Add", ["matrix", "peak"], ["work0"]),
    ]
    for index in range(rounds):
        nodes.append(make("MatMul", [f"work{index}", "matrix"], [f"work{index + 1}"]))
    nodes += [
        make("ReduceMax", [f"work{rounds}"], ["top"], keepdims=0),
        _constant("huge", np.array(1e30, np.float32)),
        make("Greater", ["top", "huge"], ["never"]),
        make("Cast", ["never"], ["never_i"], to=TensorProto.INT64),
        _constant("shape1", np.array([1], np.int64)),
        make("Reshape", ["never_i", "shape1"], ["count"]),
        _constant("start", np.array([0], np.int64)),
    ]
    fixed = {
        "boxes": np.zeros((1, 4), np.float32),
        "scores": np.zeros(1, np.float32),
        "labels": np.zeros(1, np.int64),
        "masks": np.zeros((1, 28, 28), np.float32),
    }
    for name, value in fixed.items():
        nodes += [
            _constant(f"{name}_one", value),
            make("Slice", [f"{name}_one", "start", "count"], [name]),
        ]
    return _write(path, nodes, meta or metadata(), (None, None))


def _constant(name: str, value: np.ndarray) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, name))


def _write(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    meta: Metadata,
    size: tuple[int | None, int | None],
) -> Path:
    width, height = size
    image = helper.make_tensor_value_info(
        "image", TensorProto.UINT8, [1, height or "height", width or "width", 3]
    )
    outputs = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["count", 4]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["count"]),
        helper.make_tensor_value_info("labels", TensorProto.INT64, ["count"]),
        helper.make_tensor_value_info("masks", TensorProto.FLOAT, ["count", "cells", "cells"]),
    ]
    graph = helper.make_graph(list(nodes), "tiny", [image], outputs)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="tests"
    )
    helper.set_model_props(model, meta.to_properties())
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path
