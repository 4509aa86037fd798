"""Reading frozen TensorFlow graphs and their text configurations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import ModelError, UsageError
from stream_export.checkpoints.graphdef import looks_like_graphdef, read_graphdef
from stream_export.checkpoints.prototext import parse_prototext, read_prototext
from tests.export import made_tensorflow as made
from tests.export.lazily import lazily

frozen_weights = lazily("stream_export.checkpoints.frozen", "frozen_weights")


def test_nodes_and_constants_are_read(tmp_path: Path) -> None:
    value = np.arange(6, dtype=np.float32).reshape(2, 3)
    content = made.constant("scope/weights", value) + made.node("r", "Identity", ["scope/weights"])
    (tmp_path / "a.pb").write_bytes(content)
    nodes = read_graphdef(tmp_path / "a.pb")
    assert list(nodes) == ["scope/weights", "r"]
    np.testing.assert_array_equal(nodes["scope/weights"].value, value)
    assert nodes["r"].inputs == ("scope/weights",) and nodes["r"].value is None
    assert looks_like_graphdef(content[:64])


def test_constants_may_be_listed_packed_or_repeated(tmp_path: Path) -> None:
    content = made.tensor_node("a", 1, (2, 2), made.floats([1.5, 2.5]))
    # One value stands for all; whole numbers are varints, two's complement in 64 bits.
    content += made.tensor_node("b", 3, (3,), b"\x38" + made.varint(-7))
    content += made.tensor_node("c", 9, (2,), b"\x52\x02" + made.varint(3) + made.varint(5))
    content += made.tensor_node("d", 19, (1,), b"\x68" + made.varint(0x3C00))
    content += made.tensor_node("e", 7, (1,), b"\x42\x03abc")
    content += made.tensor_node("f", 1, (0, 4), b"")
    (tmp_path / "a.pb").write_bytes(content)
    nodes = read_graphdef(tmp_path / "a.pb")
    values = {name: entry.value for name, entry in nodes.items()}
    np.testing.assert_array_equal(values["a"], np.array([[1.5, 2.5], [2.5, 2.5]], np.float32))
    np.testing.assert_array_equal(values["b"], np.array([-7, -7, -7], np.int32))
    np.testing.assert_array_equal(values["c"], np.array([3, 5], np.int64))
    np.testing.assert_array_equal(values["d"], np.array([1], np.float16))
    assert values["e"] is None
    found = values["f"]
    assert found is not None and found.shape == (0, 4)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (made.tensor_node("a", 1, (1 << 20, 1 << 20), made.floats([1])), "claims a shape"),
        (made.tensor_node("a", 1, (-1,), made.floats([1])), "unknown shape"),
        (made.tensor_node("a", 1, (2,), b"\x22\x04abcd"), "has 4 bytes for a shape"),
        (made.tensor_node("a", 1, (1,), made.floats([1, 2])), "has 2 values for a shape"),
        (made.tensor_node("a", 1, (1,), b"\x2a\x03abc"), "ends within one"),
        (made.node("a", "Identity", []) + b"\x0a\xff\xff\xff\xff\x0f", "past the end"),
        (made.node("a", "Identity", []) + b"\x0f", "unknown kind"),
        (made.node("a", "Identity", []) + b"\x0a" + b"\xff" * 12, "past its end"),
        (made.node("a", "", []), "without a name"),
    ],
)
def test_hostile_and_damaged_graphs_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.pb").write_bytes(content)
    with pytest.raises(ModelError, match=said):
        read_graphdef(tmp_path / "a.pb")


def test_other_files_are_no_graphs(tmp_path: Path) -> None:
    for content in (b"", b"\x89HDF\r\n\x1a\n" + bytes(64), b"<html>", b"\x08\x01\x12\x04abcd"):
        (tmp_path / "a.pb").write_bytes(content)
        with pytest.raises(ModelError, match="not a TensorFlow graph"):
            read_graphdef(tmp_path / "a.pb")
    with pytest.raises(ModelError, match="cannot be read"):
        read_graphdef(tmp_path / "none.pb")


_WHOLE = made.constant("FirstStage/weights", np.ones((3, 4), np.float32)) + made.node(
    "FirstStage/weights/read", "Identity", ["FirstStage/weights"]
)


@given(
    at=st.integers(0, len(_WHOLE) - 1), byte=st.integers(0, 255), cut=st.integers(0, len(_WHOLE))
)
def test_any_damage_is_refused_or_read(tmp_path_factory, at: int, byte: int, cut: int) -> None:
    content = bytearray(_WHOLE)
    content[at] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.pb"
    path.write_bytes(bytes(content[:cut]))
    try:
        read_graphdef(path)
    except ModelError:
        return


def test_slim_s_layers_get_torch_s_names_and_axes(tmp_path: Path) -> None:
    arrays = made.inception_resnet()
    path = made.write_graph(tmp_path / "a.pb", arrays)
    weights = frozen_weights(path, read_graphdef(path))
    name = "FirstStageFeatureExtractor/InceptionResnetV2/Conv2d_1a_3x3"
    kernel = arrays[f"{name}/weights"]
    np.testing.assert_array_equal(weights[f"{name}.weight"].numpy(), kernel.transpose(3, 2, 0, 1))
    # These have no gamma; one that changes nothing stands in.
    assert weights[f"{name}/BatchNorm.weight"].eq(1).all()
    assert weights.shape("SecondStageBoxPredictor/ClassPredictor.weight") == (4, 10)


def test_pipeline_configurations_are_read() -> None:
    message = parse_prototext(
        """# a comment
        model {
          faster_rcnn { num_classes: 90  scales: 0.25 scales: 0.5, ratios: [1, 2.0f]
            type: "faster_rcnn_inception_v2"; softmax: SOFTMAX hard: true size: 0x10 low: -1e-3 }
          other < depth: 1 > more: { depth: 2 }
        }""",
        "pipeline.config",
    )
    model = message.message("model.faster_rcnn")
    assert model is not None
    assert model.number("num_classes", 0) == 90
    assert model.numbers("scales", ()) == (0.25, 0.5)
    assert model.numbers("ratios", ()) == (1, 2.0)
    assert model.word("type") == "faster_rcnn_inception_v2"
    assert model.word("softmax") == "SOFTMAX"
    assert model.flag("hard", default=False)
    assert model.number("size", 0) == 16 and model.number("low", 0) == -1e-3
    assert message.number("model.other.depth", 0) == 1
    assert message.number("model.more.depth", 0) == 2
    assert message.number("model.none.depth", 3) == 3
    with pytest.raises(UsageError, match="type is not a number"):
        model.number("type", 0)


@pytest.mark.parametrize(
    "text", ["model {", "model }", "a: ", "a: {b}", "1: 2", 'a: "x', "a b", "{" * 99, "a: [1"]
)
def test_what_is_no_configuration_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="line 1 is not in protobuf's text format"):
        parse_prototext(text, "a.config")


def test_configurations_nested_without_end_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.config").write_text("a {" * 100_000)
    with pytest.raises(UsageError, match="is not in protobuf's text format"):
        read_prototext(tmp_path / "a.config")
    with pytest.raises(ModelError, match="cannot be read"):
        read_prototext(tmp_path / "none.config")
