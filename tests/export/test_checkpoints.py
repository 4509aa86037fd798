"""Reading checkpoints: what they hold, and that they cannot do anything else."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from stream.errors import ModelError, UsageError
from stream_export.checkpoints.settings import parse_settings, read_settings
from stream_export.checkpoints.torch_files import read_pickle, read_torch
from tests.export import made_checkpoints as made
from tests.export.lazily import lazily

torch = lazily("torch")
nn = lazily("torch.nn")
recognise = lazily("stream_export.checkpoints.recognise", "recognise")
wrong_file = lazily("stream_export.checkpoints.recognise", "wrong_file")
Weights = lazily("stream_export.checkpoints.weights", "Weights")


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_pickle_that_calls_a_program_is_refused_before_it_does(
    tmp_path: Path, protocol: int
) -> None:
    target, path = tmp_path / "executed", tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"model": {"w": Bomb(target)}}, protocol=protocol))
    with pytest.raises(ModelError, match=r"asks to run '(posix|nt)\.system'.*nothing was executed"):
        read_pickle(path)
    assert not target.exists()


@pytest.mark.parametrize("legacy", [True, False])
def test_a_torch_file_that_calls_a_program_is_refused_before_it_does(
    tmp_path: Path, legacy: bool
) -> None:
    target, path = tmp_path / "executed", tmp_path / "model.pth"
    torch.save({"model": {"w": Bomb(target)}}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ModelError, match="nothing was executed"):
        read_torch(path)
    assert not target.exists()


@pytest.mark.parametrize(
    "code",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cnumpy.core.multiarray\nfromfile\n(S'x'\ntR.",
        b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93.",
        b"ios\nsystem\n(S'true'\no.",
    ],
)
def test_no_other_name_gets_through(tmp_path: Path, code: bytes) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(code)
    with pytest.raises(ModelError, match=r"refused|damaged"):
        read_pickle(path)


FAR = {
    "binary": b"\x80\x02}r\xff\xff\xff\x7f.",
    "text": b"(dp2147483647\n.",
    "after others": pickle.dumps({"a": [b"x" * 300, "text", 1.5]}, 4)[:-1] + b"r\0\0\0\x70.",
}


@pytest.mark.parametrize("content", FAR.values(), ids=FAR)
def test_a_damaged_pickle_does_not_ask_for_all_memory(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="damaged or cut short") as raised:
        read_pickle(path)
    assert "in the memo" in str(raised.value.__cause__)


def test_a_damaged_torch_file_does_not_ask_for_all_memory(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    many = {f"layer{index}": torch.zeros(1) for index in range(100)}
    torch.save(many, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    at = content.rindex(b"r\x01\x01\0\0")
    path.write_bytes(content[:at] + b"r\xff\xff\xff\x7f" + content[at + 5 :])
    with pytest.raises(ModelError, match="damaged or cut short") as raised:
        read_torch(path)
    assert "in the memo" in str(raised.value.__cause__)


@pytest.mark.parametrize("protocol", range(6))
def test_what_picklers_write_is_far_from_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int
) -> None:
    monkeypatch.setattr("stream_export.checkpoints.pickles._SPARE_PLACES", 0)
    path = tmp_path / "model.pkl"
    held = {f"layer{index}": np.full(3, index, np.float32) for index in range(300)}
    path.write_bytes(pickle.dumps(held, protocol=protocol))
    assert read_pickle(path)["layer299"][0] == 299


def test_python_2_pickles_keep_their_arrays(tmp_path: Path) -> None:
    values = {"conv1_w": np.arange(24, dtype=np.float32).reshape(2, 3, 4) - 7}
    path = tmp_path / "model.pkl"
    path.write_bytes(made.python2_pickle({"blobs": values, "cfg": "é"}))
    content = read_pickle(path)
    np.testing.assert_array_equal(content["blobs"]["conv1_w"], values["conv1_w"])


@pytest.mark.parametrize("share", [0.02, 0.3, 0.95])
def test_files_that_are_cut_short_say_so(tmp_path: Path, share: float) -> None:
    whole = made.write_detectron2(tmp_path / "a.pkl").read_bytes()
    cut = tmp_path / "b.pkl"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError, match="damaged or cut short"):
        read_pickle(cut)
    for legacy in (True, False):
        whole = made.write_torch(tmp_path / "a.pth", made.yolact(), legacy=legacy).read_bytes()
        cut.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ModelError, match=r"damaged|cut short"):
            read_torch(cut)


def test_missing_files_are_named(tmp_path: Path) -> None:
    for read in (read_pickle, read_torch, recognise):
        with pytest.raises(ModelError, match="there is no such file"):
            read(tmp_path / "none.pkl")


def test_norms_are_folded_into_convolutions() -> None:
    make = made.Maker()
    make.conv("a", 4, 3, 3, bias=False)
    make.norm("b", 4)
    arrays = {name: torch.from_numpy(value) for name, value in make.arrays.items()}
    conv, norm = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4, eps=1e-3).eval()
    conv.load_state_dict({"weight": arrays["a.weight"]})
    norm.load_state_dict(
        {name.removeprefix("b."): v for name, v in arrays.items() if name[0] == "b"}, strict=False
    )
    folded = nn.Conv2d(3, 4, 3)
    Weights(Path("x"), make.arrays).fill(folded, "a", "b", 1e-3)
    image = torch.randn(1, 3, 8, 8)
    torch.testing.assert_close(folded(image), norm(conv(image)), atol=1e-5, rtol=1e-5)


def test_weights_that_lack_or_differ_are_named() -> None:
    weights = Weights(Path("m.pkl"), {"a.weight": np.zeros((4, 3, 3, 3), np.float32), "t": "text"})
    with pytest.raises(ModelError, match=r"m\.pkl: the checkpoint lacks the weight 'b\.weight'"):
        weights.fill(nn.Conv2d(3, 4, 3), "b")
    with pytest.raises(ModelError, match=r"lacks the weight 'a\.bias'"):
        weights.fill(nn.Conv2d(3, 4, 3), "a")
    with pytest.raises(ModelError, match=r"'a\.weight' is \[4, 3, 3, 3\] where \[5, 3, 3, 3\]"):
        weights.fill(nn.Conv2d(3, 5, 3, bias=False), "a")


CONFIGURATION = """
# As detectron2's, and as it dumps them.
_BASE_: "base.yaml"
MODEL:
  MASK_ON: True
  PIXEL_STD: [57.375, 57.120, 58.395]  # of ResNeXt
  ANCHOR_GENERATOR:
    SIZES: [[32], [64],
            [128]]
    ANGLES:
    - - -90
      - 0
    - - 90
  WEIGHTS: "detectron2://ImageNet/x#1.pkl"
SOLVER:
  STEPS: (210000, 250000)
VERSION: 2
"""


def test_configurations_are_read(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("MODEL:\n  MASK_ON: False\n  RPN:\n    NMS_THRESH: 0.6\n")
    path = tmp_path / "mine.yaml"
    path.write_text(CONFIGURATION)
    settings = read_settings(path)
    assert settings.get("MODEL.MASK_ON") is True
    assert settings.number("MODEL.RPN.NMS_THRESH", 0.7) == 0.6
    assert settings.numbers("MODEL.PIXEL_STD", ()) == (57.375, 57.12, 58.395)
    assert settings.get("MODEL.ANCHOR_GENERATOR.SIZES") == [[32], [64], [128]]
    assert settings.get("MODEL.ANCHOR_GENERATOR.ANGLES") == [[-90, 0], [90]]
    assert settings.get("MODEL.WEIGHTS") == "detectron2://ImageNet/x#1.pkl"
    assert settings.get("SOLVER.STEPS") == (210000, 250000)
    assert settings.get("NO.SUCH", 5) == 5
    with pytest.raises(UsageError, match=r"MODEL\.MASK_ON is True, a number is needed"):
        settings.number("MODEL.MASK_ON", 1)


@pytest.mark.parametrize(
    "text", ["a: [1, 2", "just words", "a:\n\tb: 1", "a: *anchor", "a: 1\n  b: 2", "- 1\n- 2"]
)
def test_what_is_no_configuration_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"mine\.yaml"):
        parse_settings(text, "mine.yaml")


def test_checkpoints_are_recognised_by_what_they_hold(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    made.write_detectron2(path)
    assert system_of(path) == "detectron2"
    made.write_detectron(path)
    assert system_of(path) == "detectron"
    made.write_torch(path, made.yolact(), legacy=True)
    assert system_of(path) == "yolact"
    made.write_torch(path, made.centermask(), wrapped=True, legacy=False)
    assert system_of(path) == "centermask"
    made.write_torch(path, {"rpn.head.cls_logits.weight": np.zeros(1, np.float32)}, legacy=False)
    assert system_of(path) == "torchvision"
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file["mrcnn_mask/mrcnn_mask/kernel:0"] = np.zeros(1, np.float32)
    assert system_of(path) == "matterport"
    # One node of a GraphDef: its name and its operation.
    path.write_bytes(b"\x0a\x1b\x0a\x0cimage_tensor\x12\x0bPlaceholder")
    found = recognise(path)
    assert found is not None
    assert found.system == "tensorflow"
    assert found.command(path).endswith("weights.bin --config pipeline.config -o weights.onnx")


def system_of(path: Path) -> str | None:
    found = recognise(path)
    assert found is not None
    return found.system


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"\xfd7zXZ\x00\x00", "xz -d"),
        (b"\x1f\x8b\x08", "gzip -d"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS"),
        (b"PK\x05\x06" + bytes(18), "an archive"),
        (b"\x08\x01\x12\x10", "SavedModel"),
    ],
)
def test_what_is_no_checkpoint_is_told(tmp_path: Path, head: bytes, said: str) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(head)
    error = wrong_file(path, "detectron2", ModelError("its own words"))
    assert said in str(error)


def test_an_unknown_file_keeps_the_converters_own_words(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"nothing that anybody knows")
    assert str(wrong_file(path, "yolact", ModelError("its own words"))) == "its own words"
    path.write_bytes(b"")
    assert "the file is empty" in str(wrong_file(path, "yolact", ModelError("its own words")))
    made.write_torch(path, made.yolact())
    assert str(wrong_file(path, "yolact", ModelError("its own words"))) == "its own words"


def test_the_right_command_is_named(tmp_path: Path) -> None:
    path = made.write_torch(tmp_path / "yolact base.pth", made.yolact())
    error = wrong_file(path, "detectron2", ModelError("its own words"))
    assert str(error) == (
        f"{path}: it is a checkpoint of YOLACT; convert it with: "
        f"stream export yolact '{path}' -o 'yolact base.onnx'"
    )


def test_weights_that_are_not_what_was_saved_are_refused(tmp_path: Path) -> None:
    """A torch file has sums of what lies in it, which torch does not look at."""
    path, held = tmp_path / "a.pth", {"first": torch.full((64,), 3.0), "second": torch.ones(2)}
    torch.save(held, path)
    content = bytearray(path.read_bytes())
    at = content.index(torch.full((64,), 3.0).numpy().tobytes())
    content[at + 9] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"is not what was saved\); download it again"):
        read_torch(path)
    torch.serialization.set_crc32_options(False)  # it may be asked to write none
    try:
        torch.save(held, path)
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_torch(path)["second"].tolist() == [1, 1]
