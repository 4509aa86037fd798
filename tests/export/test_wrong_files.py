"""Every command refuses what is not its own with one sentence, and runs nothing of it."""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from stream.cli._commands import load
from stream.errors import ModelError
from stream_export.command import app
from tests.export import made_checkpoints as made
from tests.export import made_tensorflow
from tests.export.lazily import lazily

torch = lazily("torch")

SYSTEMS = (
    "matterport", "tensorflow", "detectron2", "detectron", "mmdetection", "yolact", "centermask"
)  # fmt: skip
EVERY = (*SYSTEMS, "torchvision")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of each system under a name that tells nothing, and that must not matter."""
    folder = tmp_path_factory.mktemp("files")
    for system in EVERY:
        (folder / system).mkdir()
    places = {system: folder / system / "my model.bin" for system in EVERY}
    made_tensorflow.write_keras(places["matterport"])
    made_tensorflow.write_graph(places["tensorflow"], made_tensorflow.inception_v2())
    made.write_detectron2(places["detectron2"])
    made.write_detectron(places["detectron"])
    torch.save({"state_dict": {"rpn_head.rpn_cls.weight": torch.zeros(3)}}, places["mmdetection"])
    made.write_torch(places["yolact"], made.yolact())
    made.write_torch(places["centermask"], made.centermask(), wrapped=True)
    torch.save({"rpn.head.cls_logits.weight": torch.zeros(3)}, places["torchvision"])
    return places


def refusal(system: str, path: Path) -> str:
    """What a command says of a file that it does not take."""
    output = path.parent / "out.onnx"
    given = ["--weights", str(path)] if system == "torchvision" else [str(path)]
    words = [system, *given, "-o", str(output)]
    with pytest.raises(ModelError) as told:
        load("export").main(words, prog_name="export", standalone_mode=False)
    assert not output.exists()
    said = str(told.value)
    # One sentence on one line, about this file.
    assert "\n" not in said
    assert str(path) in said
    assert not re.search(r"Traceback|\. [A-Z]", said.replace(str(path), ""))
    return said


@pytest.mark.parametrize("system", EVERY)
def test_a_file_of_another_system_is_recognised(system: str, files: dict[str, Path]) -> None:
    for other, path in files.items():
        if other == system:
            continue
        said = refusal(system, path)
        flag = "--weights " if other == "torchvision" else ""
        assert f"convert it with: stream export {other} {flag}'{path}'" in said
        assert "-o 'my model.onnx'" in said


def test_the_command_that_is_named_takes_the_file(files: dict[str, Path]) -> None:
    """It fails on what these small files lack, and not on its own options."""
    said = refusal("yolact", files["torchvision"])
    words = said.split("stream export ", 1)[1].split(" -o ")[0]
    assert words == f"torchvision --weights '{files['torchvision']}'"
    assert "no torchvision Mask R-CNN" in refusal("torchvision", files["torchvision"])


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch '{self.target}'",)


@pytest.mark.parametrize("system", EVERY)
@pytest.mark.parametrize("form", ["pickle", "old torch", "torch"])
def test_a_file_that_would_run_a_program_is_refused(system: str, form: str, tmp_path: Path) -> None:
    target, path = tmp_path / "executed", tmp_path / "model.pth"
    content = {"model": {"w": Bomb(target)}, "blobs": {"conv1_w": Bomb(target)}}
    if form == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "torch")
    assert "nothing was executed" in refusal(system, path)
    assert not target.exists()


@pytest.mark.parametrize("system", EVERY)
@pytest.mark.parametrize("share", [0.0, 0.4, 0.97])
def test_a_file_that_is_cut_short_says_so(
    system: str, share: float, files: dict[str, Path], tmp_path: Path
) -> None:
    whole = files[system].read_bytes()
    path = tmp_path / "cut.bin"
    path.write_bytes(whole[: int(len(whole) * share)])
    assert re.search(r"cut short|damaged|empty", refusal(system, path))


@pytest.mark.parametrize("system", EVERY)
def test_what_is_no_checkpoint_is_refused(system: str, tmp_path: Path) -> None:
    random = np.random.default_rng(1).integers(0, 256, 5000).astype(np.uint8).tobytes()
    for name, content in (
        ("noise.bin", b"\x00" + random),
        ("list.pkl", pickle.dumps([1, 2, 3])),
        ("page.html", b"<!DOCTYPE html><html>404</html>"),
        ("words.txt", b"just words\n" * 50),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        refusal(system, path)


def test_a_file_that_is_no_checkpoint_at_all_is_not_called_a_damaged_one(tmp_path: Path) -> None:
    for number, content in enumerate((b"\0\0\0\x20ftypisom" * 9, b"hello", b"%PDF-1.7 " * 9)):
        path = tmp_path / f"{number}.pth"
        path.write_bytes(content)
        assert "it is no checkpoint, neither a file of torch's" in refusal("torchvision", path)
        assert "it is no checkpoint, neither a file of torch's" in refusal("detectron2", path)


def test_torchvision_takes_its_weights_as_an_argument_too(files: dict[str, Path]) -> None:
    path = files["yolact"]
    output = path.parent / "out.onnx"
    argued = CliRunner().invoke(app, ["torchvision", str(path), "-o", str(output)])
    assert str(argued.exception) == refusal("torchvision", path)
    both = ["torchvision", str(path), "--weights", str(path), "-o", str(output)]
    twice = CliRunner().invoke(app, both)
    assert "are both weights; give one of them" in str(twice.exception)


@pytest.mark.parametrize("given", [[], ["--weights", "random"]], ids=["published", "random"])
def test_an_architecture_that_there_is_not_is_said(tmp_path: Path, given: list[str]) -> None:
    output = ["-o", str(tmp_path / "a.onnx")]
    result = CliRunner().invoke(app, ["torchvision", "--arch", "mask_rcnn", *given, *output])
    assert "unknown architecture 'mask_rcnn'" in str(result.exception)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("backbone.simfp_2.0.weight", "a ViTDet of detectron2"),
        ("bbox_head.rtm_cls.0.weight", "an RTMDet of MMDetection"),
        ("model.model.0.conv.weight", "a checkpoint of YOLO"),
        ("sem_seg_head.predictor.query_feat.weight", "a Mask2Former or MaskFormer"),
        ("image_encoder.pos_embed", "a Segment Anything"),
        ("transformer.encoder.layers.0.self_attn.in_proj_weight", "a transformer of DETR's kind"),
    ],
)
def test_what_is_no_mask_r_cnn_is_called_what_it_is(name: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    # Beside what another network of the same system has.
    torch.save({"model": {name: torch.zeros(2), "head.other.weight": torch.zeros(2)}}, path)
    for system in ("detectron2", "torchvision", "mmdetection"):
        told = refusal(system, path)
        assert f"it is {said}, which is no Mask R-CNN that can be converted" in told
        assert "`stream train` makes one of labelled pictures" in told


def test_a_run_s_own_checkpoint_needs_no_converting(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"weights": {"refine.classes.weight": torch.zeros(2)}, "step": 3}, path)
    for system in ("detectron2", "torchvision"):
        assert "of `stream train`, which wrote models that need no" in refusal(system, path)


def test_tools_name_the_command_for_a_checkpoint_that_is_not_exported_yet(tmp_path):
    path = tmp_path / "mine.pth"
    torch.save({"model": {"rpn.head.cls_logits.weight": torch.zeros(3)}}, path)
    out, pictures = ["-o", str(tmp_path / "a.onnx")], ["--images", str(tmp_path)]
    for tool, more in {
        "inspect": [],
        "verify": pictures,
        "half": out,
        "quantize": [*pictures, *out],
    }.items():
        told = CliRunner().invoke(app, [tool, str(path), *more])
        assert isinstance(told.exception, ModelError), tool
        said = "it is a checkpoint of torchvision, not exported yet; convert it with: stream export"
        assert f"{path}: {said} torchvision --weights {path}" in str(told.exception), tool
