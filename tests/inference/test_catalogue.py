from pathlib import Path

import numpy as np
import onnx
import pytest

from stream.errors import ModelError
from stream.inference import catalogue
from stream.inference.onnx_file import read_onnx_file
from tests import tiny_models


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_models.nothing(tmp_path / "default.onnx")
    tiny_models.nothing(tmp_path / "default.int8.onnx", tiny_models.metadata(precision="int8"))
    tiny_models.nothing(tmp_path / "large.v2.onnx")
    tiny_models.nothing(tmp_path / "big.float32.onnx")
    (tmp_path / "notes.txt").write_text("no model")
    return tmp_path


def test_names_and_their_variants(folder: Path) -> None:
    found = catalogue.entries(folder)
    assert list(found) == ["default", "big", "large.v2"]
    assert set(found["default"].files) == {"", "int8"}
    assert set(found["big"].files) == {"float32"}


def test_the_variant_that_is_preferred(folder: Path) -> None:
    entry = catalogue.find("default", folder)
    assert entry.pick(("int8", "float32")).name == "default.int8.onnx"
    assert entry.pick(("float32",)).name == "default.onnx"
    assert catalogue.find("big", folder).pick(("int8",)).name == "big.float32.onnx"


def test_a_variant_can_be_asked_for(folder: Path) -> None:
    entry = catalogue.find("default.int8", folder)
    assert entry.pick(("float32",)).name == "default.int8.onnx"


def test_a_path_is_a_model_too(folder: Path) -> None:
    path = folder / "default.int8.onnx"
    assert catalogue.find(path, folder).pick() == path
    assert catalogue.find(str(path), folder / "nowhere").pick() == path


def test_a_name_wins_over_a_folder_of_that_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "default").mkdir()
    monkeypatch.chdir(tmp_path)
    assert catalogue.find("default", folder).pick().name == "default.onnx"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("defualt", "holds default, big, large.v2; did you mean 'default'"),
        ("default.float16", "no model 'default.float16' in the catalogue"),
        ("nowhere/model.onnx", "there is no model file 'nowhere/model.onnx'"),
        ("missing.onnx", "there is no model file"),
    ],
)
def test_what_is_not_there(folder: Path, model: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        catalogue.find(model, folder)


@pytest.mark.parametrize(
    "model", ["~nobody-of-that-name/mine.onnx", 300 * "a", 300 * "a" + ".onnx"]
)
def test_a_path_that_cannot_be_looked_up_is_not_there(folder: Path, model: str) -> None:
    with pytest.raises(ModelError, match="there is no model file"):
        catalogue.find(model, folder)


def test_a_folder_is_no_model(folder: Path) -> None:
    with pytest.raises(ModelError, match="is a folder"):
        catalogue.find(folder, folder)


def test_an_empty_catalogue_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the catalogue is empty"):
        catalogue.find("default", tmp_path)


def test_the_listing_shows_broken_files_too(folder: Path) -> None:
    (folder / "broken.onnx").write_text("not a model at all")
    lines = {line.name: line for line in catalogue.listing(folder)}
    assert set(lines) == {"default", "default.int8", "big.float32", "large.v2", "broken"}
    assert lines["default.int8"].cells()[1] == "int8"
    assert lines["default"].cells()[3] == "person, car, dog"
    assert lines["broken"].metadata is None
    assert "is not an ONNX model" in lines["broken"].problem
    assert all(len(line.cells()) == 7 for line in lines.values())


def test_the_outside_of_a_file_equals_what_onnx_reads(folder: Path) -> None:
    path = folder / "default.onnx"
    found, model = read_onnx_file(path), onnx.load(path)
    assert found.metadata == {item.key: item.value for item in model.metadata_props}
    assert found.opsets == {item.domain: item.version for item in model.opset_import}
    assert (found.ir_version, found.producer) == (model.ir_version, model.producer_name)
    assert found.size == path.stat().st_size


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello, this is text\n", "not an ONNX model"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "not an ONNX model"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "not an ONNX model"),
        (b"PK\x03\x04" + bytes(64), "not an ONNX model"),
        (b"\x08\x08", "holds no graph"),
        (b"\xff" * 64, "not an ONNX model"),
        (b"{" * 1000, "not an ONNX model"),
    ],
)
def test_what_is_no_model(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        read_onnx_file(path)
    assert str(path) in str(caught.value)


def test_a_file_cut_short_at_any_byte(folder: Path) -> None:
    whole = (folder / "default.onnx").read_bytes()
    path = folder / "cut.onnx"
    short = 0
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        try:
            catalogue.open_model(path)
        except ModelError as error:
            assert str(path) in str(error)
            short += "cut short" in str(error)
        else:
            pytest.fail(f"{length} of {len(whole)} bytes were taken for a whole model")
    assert short > 10


def test_a_model_without_metadata_says_how_to_convert_it(tmp_path: Path) -> None:
    path = tiny_models.nothing(tmp_path / "plain.onnx")
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, path)
    with pytest.raises(ModelError, match="stream export"):
        catalogue.open_model(path)


@pytest.mark.parametrize(
    ("name", "content", "what_to_do"),
    [
        ("a.onnx", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        ("a.onnx", b"<!DOCTYPE html><title>Sign in</title>", "download the file itself"),
        ("a.onnx", b"\x1f\x8b\x08\0\0\0\0\0", "unpack it first"),
        ("yolo.pt", b"PK\x03\x04\0\0", "stream export --help"),
        ("model_final.pkl", b"\x80\x04\x95\0", "stream export --help"),
        ("mask_rcnn_coco.h5", b"\x89HDF\r\n\x1a\n", "stream export --help"),
        ("frozen_inference_graph.pb", b"\xff\xff\xff", "stream export --help"),
        ("a.engine", b"ptrt\0\0\0\0", "one for TensorRT alone"),
        ("a.xml", b'<?xml version="1.0"?><net name="a">', "one for OpenVINO alone"),
        ("a.TFLITE", b"\x1c\0\0\0TFL3", "one for TensorFlow Lite alone"),
        ("a.onnx", b"\xff\xff\xff", "export or download it again"),
    ],
)
def test_what_is_no_model_is_said_with_what_to_do(
    tmp_path: Path, name: str, content: bytes, what_to_do: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError) as caught:
        catalogue.open_model(tmp_path / name)
    assert f"{name}' is not an ONNX model" in str(caught.value)
    assert what_to_do in str(caught.value)


@pytest.mark.parametrize("name", ["weights.pt", "mine.pth", "a.h5"])
def test_a_checkpoint_that_is_not_there_is_no_name_of_the_catalogue(name: str) -> None:
    with pytest.raises(ModelError, match=f"there is no model file '{name}'"):
        catalogue.find(name)


@pytest.mark.parametrize("kind", ["QuantizeLinear", "DynamicQuantizeLinear"])
def test_a_file_that_others_quantised_is_int8_whatever_it_says(tmp_path: Path, kind: str) -> None:
    path = tiny_models.nothing(tmp_path / "mine.onnx")
    assert catalogue.open_model(path)[1].precision == "float32"
    model = onnx.load(path)
    numbers = onnx.numpy_helper.from_array(np.ones(3, np.float32), "numbers")
    unit = onnx.numpy_helper.from_array(np.float32(0.1), "unit")
    model.graph.initializer.extend([numbers, unit])
    read, made = {
        "QuantizeLinear": (["numbers", "unit"], ["bytes"]),
        "DynamicQuantizeLinear": (["numbers"], ["bytes", "step", "zero"]),
    }[kind]
    model.graph.node.insert(0, onnx.helper.make_node(kind, read, made))
    onnx.save(model, path)
    assert catalogue.open_model(path)[1].precision == "int8"
    # Weights alone that are kept as bytes are made float numbers before anything is computed.
    model.graph.node[0].CopyFrom(onnx.helper.make_node("DequantizeLinear", ["b", "unit"], ["f"]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(3, np.int8), "b"))
    onnx.save(model, path)
    assert catalogue.open_model(path)[1].precision == "float32"
