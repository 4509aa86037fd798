"""Reading Keras weight files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from stream.errors import ModelError
from tests.export import made_tensorflow as made
from tests.export.lazily import lazily

h5py = lazily("h5py")
read_keras = lazily("stream_export.checkpoints.keras", "read_keras")
recognise = lazily("stream_export.checkpoints.recognise", "recognise")


@pytest.mark.parametrize("root", ["", "model_weights/"])
def test_layers_are_found_by_name_nested_ones_too(tmp_path: Path, root: str) -> None:
    arrays = made.matterport()
    weights = read_keras(made.write_keras(tmp_path / "a.h5", arrays, root))
    kernel = arrays["rpn_model/rpn_conv_shared/kernel:0"]
    np.testing.assert_array_equal(
        weights["rpn_conv_shared.weight"].numpy(), kernel.transpose(3, 2, 0, 1)
    )
    dense = arrays["mrcnn_class_logits/mrcnn_class_logits/kernel:0"]
    np.testing.assert_array_equal(weights["mrcnn_class_logits.weight"].numpy(), dense.T)
    assert weights.shape("bn_conv1.running_var") == (4,)
    assert len(weights) == len(arrays)


def test_an_optimizer_s_state_is_no_weight(tmp_path: Path) -> None:
    arrays = {
        "model_weights/conv1/conv1/kernel:0": np.ones((1, 1, 2, 3), np.float32),
        "optimizer_weights/training/SGD/conv1/kernel:0": np.zeros((1, 1, 2, 3), np.float32),
    }
    weights = read_keras(made.write_keras(tmp_path / "a.h5", arrays))
    assert float(weights["conv1.weight"].min()) == 1


@pytest.mark.parametrize("share", [0.01, 0.5, 0.98])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    whole = made.write_keras(tmp_path / "a.h5").read_bytes()
    path = tmp_path / "b.h5"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError, match="damaged or cut off"):
        read_keras(path)


def test_a_file_of_keras_3_says_how_to_save_it(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as file:
        for layer in ("conv2d", "dense"):
            file[f"layers/{layer}/vars/0"] = np.zeros((1, 1, 2, 2), np.float32)
    with pytest.raises(ModelError, match=r"of Keras 3, .* by save_weights"):
        read_keras(path)
    whole = tmp_path / "model.keras"
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.write(path, "model.weights.h5")
    found = recognise(whole)
    assert found is not None and "a model of Keras 3" in found.what and found.system is None


def test_what_holds_no_layers_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = np.zeros((2, 3), np.uint8)
    with pytest.raises(ModelError, match="no weights by layer"):
        read_keras(tmp_path / "a.h5")
    with pytest.raises(ModelError, match="there is no such file"):
        read_keras(tmp_path / "none.h5")


def test_other_files_are_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.full(4, 42, np.float32).tobytes())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("conv1/conv1")
        group.create_dataset(
            "kernel:0", (4,), np.float32, external=[(str(secret), 0, h5py.h5f.UNLIMITED)]
        )
    with pytest.raises(ModelError, match="points to another file"):
        read_keras(tmp_path / "a.h5")
    made.write_keras(tmp_path / "other.h5", {"conv1/conv1/kernel:0": np.ones((2, 2), np.float32)})
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["conv1"] = h5py.ExternalLink("other.h5", "/conv1")
    with pytest.raises(ModelError, match="no weights by layer"):
        read_keras(tmp_path / "b.h5")


def test_a_weight_of_absurd_size_is_refused_before_it_is_made(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("conv1/conv1")
        group.create_dataset("kernel:0", (1 << 20, 1 << 20), np.float32, chunks=(64, 64))
    with pytest.raises(ModelError, match="claims a shape of"):
        read_keras(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["conv1/conv1/kernel:0"] = np.array([b"text"])
    with pytest.raises(ModelError, match="no array of real numbers"):
        read_keras(tmp_path / "b.h5")
