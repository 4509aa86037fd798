from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import external_data_helper, numpy_helper

from stream.errors import ModelError
from stream.inference import onnx_whole
from stream.inference.onnx_whole import whole_model

ONE, TWO, HERE = (np.arange(count, dtype=np.float32) + count for count in (6, 5, 4))


@pytest.fixture
def parted(tmp_path: Path) -> Path:
    """A file with two tensors' numbers in two others, of which one says nothing but its name."""
    tensors = [numpy_helper.from_array(one) for one in (ONE, TWO, HERE)]
    for tensor, name in zip(tensors, ("one", "two", "here"), strict=True):
        tensor.name = name
    external_data_helper.set_external_data(tensors[0], "far/ü.data", offset=8, length=24)
    external_data_helper.set_external_data(tensors[1], "two.data")
    for tensor in tensors[:2]:
        tensor.ClearField("raw_data")
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "ü.data").write_bytes(b"before: " + ONE.tobytes() + b"behind")
    (tmp_path / "two.data").write_bytes(TWO.tobytes())
    graph = onnx.helper.make_graph([], "weights", [], [], tensors)
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
    return path


def test_weights_beside_a_file_come_into_it(parted: Path) -> None:
    model = onnx.load_from_string(whole_model(parted))
    for tensor, wanted in zip(model.graph.initializer, (ONE, TWO, HERE), strict=True):
        assert not external_data_helper.uses_external_data(tensor)
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), wanted)


def test_what_is_whole_or_would_be_too_large_stays_as_it_is(
    parted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = parted.read_bytes()
    monkeypatch.setattr(onnx_whole, "_MOST", len(before) + 30)
    assert whole_model(parted) == before
    monkeypatch.undo()
    inside = whole_model(parted)
    (alone := parted.with_name("alone.onnx")).write_bytes(inside)
    assert whole_model(alone) == inside != before
    parted.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="damaged"):
        whole_model(parted)
