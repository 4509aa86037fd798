"""The widened first layer answers to the last bit as the one it replaces."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from stream.inference.wide_first_layer import with_wide_first_layer
from stream_models.first_layer import take_bytes
from tests.models.test_first_layer import COUNT, HEIGHT, WIDTH, layer, run


def bytes_layer(pads: list[int]) -> bytes:
    random = np.random.default_rng(1)
    weights = random.integers(-64, 65, (COUNT, 3, 3, 3)).astype(np.int8)
    scales = random.uniform(0.004, 0.02, COUNT).astype(np.float32)
    taken = take_bytes(onnx.load_from_string(layer(pads, weights, scales)))
    return bytes(taken.SerializeToString())


@pytest.mark.parametrize("pads", [[0, 0, 1, 1], [1, 1, 1, 0], [0, 2, 0, 3]])
def test_answers_are_the_same_to_the_last_bit(pads: list[int]) -> None:
    model = bytes_layer(pads)
    wide = with_wide_first_layer(model, WIDTH)
    made = onnx.load_from_string(wide)
    onnx.checker.check_model(made)
    (conv,) = (node for node in made.graph.node if node.op_type == "Conv")
    filters = next(one for one in made.graph.initializer if one.name == "wide_first.filters")
    assert list(filters.dims[:3]) == [2 * COUNT, 12, 3]
    # A margin of whole blocks is the layer's own, any other is put round a copy of the picture.
    copies = [node for node in made.graph.node if node.op_type == "Pad"]
    assert len(copies) == (1 if pads[1] else 0)
    assert conv.name == conv.output[0]
    picture = np.random.default_rng(2).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    before = run(model, picture)
    assert len(np.unique(before)) > 20
    np.testing.assert_array_equal(before, run(wide, picture))


@pytest.mark.parametrize(
    ("pads", "width"),
    [
        ([1, 1, 1, 1], WIDTH),  # its last window ends before the last column
        ([0, 0, 1, 1], WIDTH + 2),  # an odd number of columns comes out
        ([0, 0, 1, 1], 0),
    ],
)
def test_what_does_not_fit_stays(pads: list[int], width: int) -> None:
    model = bytes_layer(pads)
    assert with_wide_first_layer(model, width) is model


def test_other_first_layers_stay() -> None:
    random = np.random.default_rng(1)
    weights = random.integers(-127, 128, (COUNT, 3, 3, 3)).astype(np.int8)
    float_numbers = layer([0, 0, 1, 1], weights, np.full(COUNT, 0.01, np.float32))
    assert with_wide_first_layer(float_numbers, WIDTH) is float_numbers
    moved = onnx.load_from_string(bytes_layer([0, 0, 1, 1]))
    next(node for node in moved.graph.node if node.op_type == "Conv").attribute.append(
        onnx.helper.make_attribute("dilations", [2, 1])
    )
    content = moved.SerializeToString()
    assert with_wide_first_layer(content, WIDTH) is content


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no ONNX file|ends within"):
        with_wide_first_layer(b"not a model", WIDTH)
