"""Every command refuses what is not its own with one sentence, and runs nothing of it."""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from stream.errors import ModelError
from stream_export.command import app
from tests.export import made_checkpoints as made
from tests.export import made_tensorflow
from tests.export.lazily import lazily

torch = lazily("torch")

SYSTEMS = ("matterport", "tensorflow", "detectron2", "detectron", "yolact", "centermask")
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
    made.write_torch(places["yolact"], made.yolact())
    made.write_torch(places["centermask"], made.centermask(), wrapped=True)
    torch.save({"rpn.head.cls_logits.weight": torch.zeros(3)}, places["torchvision"])
    return places


def refusal(system: str, path: Path) -> str:
    """What a command says of a file that it does not take."""
    output = path.parent / "out.onnx"
    given = ["--weights", str(path)] if system == "torchvision" else [str(path)]
    result = CliRunner().invoke(app, [system, *given, "-o", str(output)])
    assert result.exit_code != 0
    assert isinstance(result.exception, ModelError), repr(result.exception)
    assert not output.exists()
    said = str(result.exception)
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
