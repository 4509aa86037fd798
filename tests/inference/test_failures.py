"""What is said of a model that fails as it runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stream.errors import ModelError
from stream.inference.contract import Resize
from stream.inference.failures import why
from stream.inference.providers import route
from stream.inference.segmenter import Segmenter
from tests import tiny_models

SHAPES = Resize("shortest_edge", shortest=48, longest=96)
LAYER = "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Add node. "
LAYER += "Name:'/roi/Add' Status Message: no"


def failing(path: Path, resize: Resize) -> Path:
    """A model that adds a row of seven to one as wide as the picture, as traced ones do."""
    model = onnx.load(str(tiny_models.nothing(path, tiny_models.metadata(resize))))
    seven = numpy_helper.from_array(np.ones((1, 1, 7, 1), np.float32), "seven")
    model.graph.initializer.append(seven)
    model.graph.node.extend(
        [
            helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("Add", ["float", "seven"], ["sum"], name="/roi/Add_3"),
            helper.make_node("ReduceMax", ["sum"], ["most"], keepdims=0),
            helper.make_node("Mul", ["kept", "most"], ["boxes"]),
        ]
    )
    for node in model.graph.node:
        if node.output[0] == "boxes" and node.op_type == "Constant":
            node.output[0] = "kept"
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize(
    ("resize", "advice"),
    [
        (SHAPES, "for pictures of another size only: export it anew with --size 640x384"),
        (tiny_models.LETTERBOX, "; the file is at fault: export it anew, or ask who made it"),
    ],
)
def test_a_model_that_fails_names_its_layer_the_picture_and_what_to_do(
    tmp_path: Path, resize: Resize, advice: str
) -> None:
    path = failing(tmp_path / "mine.onnx", resize)
    with pytest.raises(ModelError) as caught:
        Segmenter.load(path, "cpu")(np.zeros((240, 320, 3), np.uint8))
    said = str(caught.value)
    assert said.startswith(f"the model {str(path)!r} failed on CPU (float32) in its layer '/roi/A")
    assert "(Add), for a picture of 320x240: attempting to broadcast an axis" in said
    assert advice in said
    assert ".h:" not in said and "ONNXRuntimeError" not in said and "\n" not in said
    # In full for whoever asks for details.
    assert "ONNXRuntimeError" in str(caught.value.__cause__)


def test_what_is_short_or_ours_is_not_the_file_s_fault() -> None:
    cpu = route("cpu")
    full = RuntimeError("bfc_arena.cc: Failed to allocate memory for requested buffer of size 36")
    assert why(full, cpu, (4, 3), "own").startswith(": the system has no more memory for this")
    assert why(full, cpu, (4, 3), "own").endswith("or take a smaller --input-size")
    assert "--input-size" not in why(full, cpu, (4, 3), "one")
    assert why(ModelError("x cannot be opened"), cpu, (4, 3), "own") == ": x cannot be opened"
    assert why(TypeError("no"), cpu, (4, 3), "own") == ": no"


def test_elsewhere_than_on_the_cpu_it_is_to_be_tried_there() -> None:
    there = replace(route("cpu"), name="webgpu", label="WebGPU")
    assert "; try --provider cpu; the file is" in why(RuntimeError(LAYER), there, (4, 3), "one")


def test_an_answer_that_breaks_the_contract_names_the_model(tmp_path: Path) -> None:
    path = tiny_models.constant(tmp_path / "mine.onnx", [[0, 0, 9, 9]], labels=[90])
    with pytest.raises(ModelError) as caught:
        Segmenter.load(path, "cpu")(np.zeros((48, 64, 3), np.uint8))
    assert str(caught.value) == (
        f"the model {str(path)!r} is of no use: it answered with label 90, but names 3 classes; "
        "the file is at fault: export it anew, or ask who made it"
    )
