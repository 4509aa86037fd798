"""A run writes over nothing that is not its own."""

from __future__ import annotations

import os

import pytest

from stream.errors import UsageError
from stream_models.training.out import check_out

NAMES = ("checkpoint.pt", "curve.png", "model.float32.onnx", "model.int8.onnx", "report.json")


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_with_files_of_somebody_else_is_refused(tmp_path, name):
    check_out(tmp_path / "new", "default")
    check_out(tmp_path, "default")
    (tmp_path / "pictures.json").touch()
    check_out(tmp_path, "default")
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(UsageError, match=f"holds {name}, which no run there has written"):
        check_out(tmp_path, "default")
    (tmp_path / "history.jsonl").touch()  # a run of ours, which is taken up again
    check_out(tmp_path, "default")


@pytest.mark.parametrize("way", ["itself", "spelled", "symlink", "hard link"])
@pytest.mark.parametrize("name", NAMES)
def test_the_weights_to_begin_from_are_not_written_over(tmp_path, name, way):
    out = tmp_path / "run"
    (out / "sub").mkdir(parents=True)
    (out / "history.jsonl").touch()
    weights = out / name
    weights.write_bytes(b"precious")
    init = tmp_path / "start"
    if way == "itself":
        init = weights
    elif way == "spelled":
        init = out / "sub" / ".." / name
    elif way == "symlink":
        init.symlink_to(weights)
    else:
        os.link(weights, init)
    with pytest.raises(UsageError, match="would be written over by the run"):
        check_out(out, str(init))
    check_out(tmp_path / "other", str(init))
