"""What holds for every converter, ours and registered ones."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import stream_export.converters
from stream.errors import ModelError, StreamError, UsageError
from stream_export.command import build
from stream_export.registry import CONVERTERS, Converter, converters

EVERY = sorted(converters())

NEW = '''
"""A converter that somebody else wrote."""

from pathlib import Path
from typing import Annotated

import typer

from stream.errors import ModelError
from stream_export.registry import Converter


def command(
    checkpoint: Annotated[Path, typer.Argument(help="The weights.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
) -> None:
    from stream_export.checkpoints.recognise import wrong_file
    from stream_export.output import check_output

    check_output(output, checkpoint, overwrite=False)
    try:
        if not checkpoint.is_file():
            raise ModelError(f"{checkpoint}: there is no such file")
        if checkpoint.read_bytes()[:4] != b"MINE":
            raise ModelError(f"{checkpoint}: it is none of mine")
    except ModelError as error:
        raise wrong_file(checkpoint, "mine", error) from error
    output.write_bytes(checkpoint.read_bytes()[4:])


class Mine(Converter):
    """Takes files that begin with MINE."""

    name = "mine"
    summary = "Export what begins with MINE."
    command = staticmethod(command)
    what = "a checkpoint of mine"
    signs = ("mine.weight",)
'''


@pytest.fixture(params=[*EVERY, "dropped in"])
def converter(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: Any) -> type[Converter]:
    """Each converter, and one whose folder was put beside them."""
    if request.param != "dropped in":
        return converters()[request.param]
    drop(tmp_path / "there", monkeypatch)
    return converters()["mine"]


def drop(place: Path, monkeypatch: Any) -> None:
    """Puts the folder of a new converter where converters lie, and nothing else anywhere."""
    (place / "mine").mkdir(parents=True)
    (place / "mine" / "__init__.py").write_text(NEW)
    paths = [*stream_export.converters.__path__, str(place)]
    monkeypatch.setattr(stream_export.converters, "__path__", paths)
    forget(monkeypatch)


def forget(monkeypatch: Any) -> None:
    """Lets converters be looked for again, now and when the test is over."""
    for name in ("_modules", "_registered"):
        held = vars(CONVERTERS)
        if name in held:
            monkeypatch.delitem(held, name)
    monkeypatch.delitem(sys.modules, "stream_export.converters.mine", raising=False)


@pytest.fixture(autouse=True)
def found_again(monkeypatch: Any) -> Any:
    yield
    for name in ("_modules", "_registered"):
        vars(CONVERTERS).pop(name, None)
    sys.modules.pop("stream_export.converters.mine", None)


@cache
def _command(*_: type[Converter]) -> Any:
    """The command line with these converters, which takes as long as ten tests to be made."""
    return typer.main.get_command(build())


def options(converter: type[Converter]) -> list[Any]:
    """Arguments and options of a converter's command, as the command line knows them."""
    return list(_command(*converters().values()).commands[converter.name].params)


def refusal(converter: type[Converter], path: Path, output: Path, *more: str) -> str:
    """What a converter says of a file that it does not take."""
    given = [converter.flag, str(path)] if converter.flag else [str(path)]
    words = [converter.name, *given, "-o", str(output), *more]
    with pytest.raises(StreamError) as told:
        _command(*converters().values()).main(words, prog_name="export", standalone_mode=False)
    said = str(told.value)
    assert "\n" not in said
    assert not re.search(r"Traceback|\. [A-Z]", said.replace(str(path), ""))
    return said


def test_it_says_what_it_is(converter: type[Converter]) -> None:
    module = inspect.getmodule(converter)
    assert module is not None
    assert module.__name__.rsplit(".", 1)[-1] == converter.name
    assert converter.summary.endswith(".")
    assert len(converter.summary) < 100
    assert converter.what.startswith(("a ", "an "))
    assert converter.signs


def test_every_option_has_its_help(converter: type[Converter]) -> None:
    params = options(converter)
    assert {"output"} <= {one.name for one in params}
    for one in params:
        said = getattr(one, "help", None)
        assert said, f"{converter.name}: {one.name} has no help"
        assert said.partition(" [default:")[0].endswith((".", ")")), said
    shown = CliRunner().invoke(build(), [converter.name, "--help"])
    assert shown.exit_code == 0
    assert "--output" in re.sub(r"\x1b\[[0-9;]*m", "", shown.output)


def test_what_it_cannot_take_it_refuses_in_a_sentence(
    converter: type[Converter], tmp_path: Path
) -> None:
    output = tmp_path / "out.onnx"
    wrong = tmp_path / "words.pth"
    wrong.write_text("just words\n" * 50)
    assert str(wrong) in refusal(converter, wrong, output)
    page = tmp_path / "page.pth"
    page.write_text("<!DOCTYPE html><html>404</html>")
    assert "a web page" in refusal(converter, page, output)
    missing = tmp_path / "none.pth"
    assert "there is no such" in refusal(converter, missing, output)
    folder = tmp_path / "folder.pth"
    folder.mkdir()
    assert str(folder) in refusal(converter, folder, output)
    assert not output.exists()


def test_it_names_the_converter_of_anothers_file(
    converter: type[Converter], tmp_path: Path
) -> None:
    from tests.export import made_checkpoints as made

    other = "yolact" if converter.name != "yolact" else "detectron2"
    path = tmp_path / "weights.bin"
    if other == "yolact":
        made.write_torch(path, made.yolact())
    else:
        made.write_detectron2(path)
    said = refusal(converter, path, tmp_path / "out.onnx")
    assert f"convert it with: stream export {other} {path}" in said


def test_what_was_there_is_not_overwritten_unasked(
    converter: type[Converter], tmp_path: Path
) -> None:
    path, output = tmp_path / "weights.pth", tmp_path / "out.onnx"
    path.write_bytes(b"MINE, or anything")
    output.write_bytes(b"precious")
    assert "it exists; --overwrite replaces it" in refusal(converter, path, output)
    assert "it is what is read" in refusal(converter, path, path)
    assert output.read_bytes() == b"precious"
    assert path.read_bytes() == b"MINE, or anything"


def test_an_origin_can_be_run_or_says_that_it_cannot(
    converter: type[Converter], tmp_path: Path
) -> None:
    with pytest.raises((ModelError, UsageError), match=r"--against|--arch|there is no such"):
        converter.origin("", {"system": converter.name})


def test_showing_options_loads_nothing_heavy() -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]; import stream_export.command as command; "
        "names = set(command.converters()); "
        f"heavy = {{'torch', 'onnx', 'torchvision', 'h5py', 'yaml'}} & set(sys.modules); "
        f"sys.exit(' '.join(heavy) or (names != {set(EVERY)!r} and str(names)) or 0)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, *sys.path], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_a_name_that_is_none_is_said_before_anything_heavy_is_loaded() -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from stream.errors import StreamError\n"
        "from stream_export.command import app\n"
        "for name in ('yolact', 'detectron2', 'matterport', 'tensorflow', 'centermask'):\n"
        "    try: app([name, 'none.pth', '-o', 'out.onnx'], standalone_mode=False)\n"
        "    except StreamError as error: assert 'there is no such file' in str(error)\n"
        "    else: sys.exit(name)\n"
        "sys.exit(' '.join({'torch', 'torchvision', 'onnxscript'} & set(sys.modules)) or 0)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, *sys.path], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_a_folder_dropped_in_is_a_command_and_runs(tmp_path: Path, monkeypatch: Any) -> None:
    drop(tmp_path / "there", monkeypatch)
    runs(tmp_path)


def test_a_registered_one_is_a_command_and_runs(tmp_path: Path, monkeypatch: Any) -> None:
    """Another distribution's, found by its entry point; one that cannot be loaded is left out."""
    place = tmp_path / "site"
    (place / "mine").mkdir(parents=True)
    (place / "mine" / "__init__.py").write_text(NEW)
    described = place / "mine-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(
        "[stream.converters]\nmine = mine:Mine\nbroken = mine:NotThere\n"
    )
    monkeypatch.syspath_prepend(str(place))
    forget(monkeypatch)
    assert set(converters()) == {*EVERY, "mine"}
    runs(tmp_path)
    sys.modules.pop("mine", None)


def runs(folder: Path) -> None:
    """The new converter converts a file, and others know its files by their sign."""
    path, output = folder / "weights.bin", folder / "out.onnx"
    path.write_bytes(b"MINEconverted")
    result = CliRunner().invoke(build(), ["mine", str(path), "-o", str(output)])
    assert result.exit_code == 0, result.exception
    assert output.read_bytes() == b"converted"
    assert "mine" in CliRunner().invoke(build(), ["--help"]).output
    import torch

    torch.save({"model": {"module.mine.weight": torch.zeros(1)}}, path)
    said = refusal(converters()["yolact"], path, folder / "other.onnx")
    assert f"it is a checkpoint of mine; convert it with: stream export mine {path}" in said
