"""A model whose weights are damaged is refused, not computed with."""

import logging
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from stream.errors import ModelError
from stream.inference.catalogue import FOLDER, find, listing
from stream.inference.onnx_file import read_onnx_file
from stream.inference.segmenter import Segmenter
from stream.inference.session import open_session
from stream.inference.soundness import SUM, check_sound, sum_entry
from tests import tiny_models

PICTURE = np.zeros((48, 64, 3), np.uint8)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model that tells its sum, with weights among which a flipped bit breaks nothing."""
    path = tiny_models.constant(
        tmp_path / "m.onnx", [[1, 2, 30, 40]], masks=np.full((1, 28, 28), 0.75)
    )
    with path.open("ab") as file:
        file.write(sum_entry(path))
    return path


def weight(path: Path) -> int:
    """Where in a file its masks lie."""
    return path.read_bytes().index(np.full(64, 0.75, np.float32).tobytes())


@pytest.fixture
def stored(tmp_path: Path):
    """Makes a model of another tool, with a stored weight that nothing needs."""

    def made(values) -> Path:
        path = tiny_models.nothing(tmp_path / "other.onnx")
        model = onnx.load(str(path))
        model.graph.initializer.append(numpy_helper.from_array(values, "layer.weight"))
        model.graph.node.append(helper.make_node("Identity", ["layer.weight"], ["unused"]))
        onnx.save(model, str(path))
        return path

    return made


def test_a_flipped_bit_a_hole_and_a_strange_end_are_told(model: Path) -> None:
    whole, at = model.read_bytes(), weight(model)
    damaged = {
        "a bit": whole[: at + 9] + bytes([whole[at + 9] ^ 0x10]) + whole[at + 10 :],
        "a hole": whole[:at] + bytes(512) + whole[at + 512 :],
        "noise": whole[:at] + np.random.default_rng(0).bytes(512) + whole[at + 512 :],
    }
    for what, content in damaged.items():
        model.write_bytes(content)
        with pytest.raises(ModelError, match="damaged inside, as it holds other weights") as caught:
            open_session(find(model), "cpu")
        assert str(model) in str(caught.value), what
    model.write_bytes(whole)
    assert len(Segmenter.load(model, "cpu")(PICTURE)) == 1


def test_what_a_tool_has_changed_is_no_damage(model: Path) -> None:
    changed = onnx.load(str(model))
    changed.graph.doc_string = "looked at"
    onnx.save(changed, str(model))
    assert read_onnx_file(model).metadata[SUM]
    check_sound(model)


def test_bundled_models_tell_their_sums() -> None:
    for path in FOLDER.glob("*.onnx"):
        told = read_onnx_file(path).metadata[SUM]
        assert sum_entry(path).decode("latin1").endswith(told), path
        check_sound(path)


def test_a_damaged_model_of_the_catalogue_is_unusable_in_the_list(
    model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "catalogue"
    folder.mkdir()
    content = bytearray(model.read_bytes())
    content[weight(model) + 2] ^= 1
    (folder / "m.onnx").write_bytes(content)
    shutil.copy(model, folder / "n.onnx")
    bad, good = listing(folder)
    assert (bad.metadata, good.problem) == (None, "")
    assert "damaged" in bad.problem


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_no_number_is_named(stored, kind: type, value: float) -> None:
    weights = np.ones((3, 4, 5), kind)
    weights[1, 2, 3] = value
    path = stored(weights)
    with pytest.raises(ModelError, match=r"'layer\.weight' holds values that are no numbers"):
        open_session(find(path), "cpu")


def test_limits_and_what_leaves_scores_out_are_no_faults(stored) -> None:
    for values in (
        np.float32(np.inf),
        np.array([-np.inf, 1, 2, np.inf], np.float32),
        np.triu(np.full((9, 9), -np.inf, np.float32), 1),
        np.full((3, 3, 3), np.finfo(np.float32).max, np.float32),
        np.arange(64).reshape(8, 8),
    ):
        check_sound(stored(np.asarray(values)))


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="XDG's folders")
def test_what_is_kept_was_sound_and_is_not_looked_at_again(
    model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    looked: list[Path] = []
    monkeypatch.setattr("stream.inference.session.check_sound", looked.append)
    for _ in range(2):
        open_session(find(model), "cpu", picture=(64, 48))
        assert looked == [model]


def test_answers_that_are_no_numbers_are_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    masks = np.ones((5, 28, 28), np.float32)
    masks[1, 3, 3], masks[2, 0, 0], masks[3, 0, :2] = np.nan, np.inf, (np.inf, -np.inf)
    path = tiny_models.constant(
        tmp_path / "m.onnx", [[1, 2, 30, 40]] * 5, masks=masks, scores=[0.9, 0.9, 0.9, 0.9, np.nan]
    )
    segmenter = Segmenter.load(path, "cpu")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert len(segmenter.sharing()(PICTURE)) == 1
    (said,) = [one.getMessage() for one in caplog.records]
    assert "no numbers" in said and str(path) in said
