"""What was there before an export is there after it, unless it was to be replaced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream.errors import ModelError, UsageError
from stream_export.command import app
from stream_export.output import check_output, replacing
from tests.settling import DURABLE, Disk


def test_what_exists_is_left_alone_unasked(tmp_path: Path) -> None:
    output = tmp_path / "a.onnx"
    check_output(output, tmp_path / "in.pth", overwrite=False)
    output.write_bytes(b"precious")
    with pytest.raises(UsageError, match="it exists; --overwrite replaces it"):
        check_output(output, overwrite=False)
    check_output(output, overwrite=True)


def test_an_input_is_never_the_output(tmp_path: Path) -> None:
    source, link = tmp_path / "in.onnx", tmp_path / "link.onnx"
    source.write_bytes(b"weights")
    link.symlink_to(source)
    hard = tmp_path / "hard.onnx"
    os.link(source, hard)
    for output in (source, link, hard, tmp_path / "x" / ".." / "in.onnx"):
        with pytest.raises(UsageError, match=r"it is what is read|exists"):
            check_output(output, source, overwrite=output is not hard and "x" not in output.parts)
    with pytest.raises(UsageError, match="it is what is read"):
        check_output(hard, source, overwrite=True)


@pytest.mark.parametrize(
    ("make", "said"),
    [(Path.mkdir, "it is a folder"), (os.mkfifo, "it is no ordinary file")],
)
def test_what_is_no_file_is_refused(tmp_path: Path, make, said: str) -> None:
    output = tmp_path / "a.onnx"
    make(output)
    with pytest.raises(UsageError, match=said):
        check_output(output, overwrite=True)


@pytest.mark.parametrize("name", ["a.pt", "a", "a.onnx.gz"])
def test_what_is_written_is_called_what_it_is(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"what is written is ONNX; give -o a name such as mine\."):
        check_output(tmp_path / name, overwrite=True)


def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    output = tmp_path / "below" / "a.onnx"
    bystander = tmp_path / "below" / "a.onnx.part"
    bystander.parent.mkdir()
    bystander.write_bytes(b"somebody's")
    with replacing(output) as partial:
        partial.write_bytes(b"whole")
        assert not output.exists()
    assert output.read_bytes() == b"whole"
    assert bystander.read_bytes() == b"somebody's"
    with pytest.raises(KeyboardInterrupt), replacing(output) as partial:
        partial.write_bytes(b"half")
        raise KeyboardInterrupt
    assert output.read_bytes() == b"whole"
    assert sorted(one.name for one in output.parent.iterdir()) == ["a.onnx", "a.onnx.part"]
    mask = os.umask(0)
    os.umask(mask)
    assert output.stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.skipif(os.name == "nt", reason="Windows opens no folders")
def test_what_is_exported_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch, tmp_path)
    with replacing(tmp_path / "a.onnx") as partial:
        partial.write_bytes(b"whole")
    assert disk.events == DURABLE


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "real.onnx", tmp_path / "link.onnx"
    target.write_bytes(b"old")
    link.symlink_to(target)
    with replacing(link) as partial:
        partial.write_bytes(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_name_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for output in (tmp_path / "file" / "a.onnx", tmp_path / ("a" * 300), Path("a\0b")):
        with pytest.raises((ModelError, UsageError), match="cannot be written"):
            check_output(output, overwrite=False)
            with replacing(output):
                pass


@pytest.mark.parametrize("tool", ["quantize", "half"])
def test_tools_ask_before_they_replace(tmp_path: Path, tool: str) -> None:
    model, output = tmp_path / "in.onnx", tmp_path / "out.onnx"
    model.write_bytes(b"anything")
    output.write_bytes(b"precious")
    more = ["--images", str(tmp_path)] if tool == "quantize" else []
    for target, said in ((output, "it exists"), (model, "it is what is read")):
        result = CliRunner().invoke(app, [tool, str(model), "-o", str(target), *more])
        assert isinstance(result.exception, UsageError)
        assert said in str(result.exception)
    assert output.read_bytes() == b"precious"
    assert model.read_bytes() == b"anything"
