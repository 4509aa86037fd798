"""The public names: each is exported, explained and shown, and every example runs."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import stream
from tests import photos
from tests.cli.conftest import environment

PAGE = Path(__file__).resolve().parents[1] / "docs" / "python.md"
BLOCK = re.compile(r"^## (.*?)$|^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)

NAMES = {"open", "process", "draw", "Segmenter", "Instances", "Instance", "Frame", "VideoWriter"}
NAMES |= {"Video", "StreamError", "__version__"}


def examples():
    """Each example, called by the heading it stands under."""
    title, count = "", 0
    for heading, code in BLOCK.findall(PAGE.read_text()):
        if heading:
            title, count = heading, 0
        else:
            count += 1
            yield pytest.param(code, id=f"{title.rpartition(': ')[2].strip('`')}-{count}")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A short clip of an astronaut who moves a little."""
    path = tmp_path_factory.mktemp("examples") / "in.mp4"
    picture = photos.astronaut()
    with stream.VideoWriter(path, rate=25) as writer:
        for index in range(6):
            writer.write(np.ascontiguousarray(picture[:, 4 * index : 4 * index + 480]))
    return path


@pytest.mark.parametrize("code", list(examples()))
def test_every_example_runs_as_it_stands(code, clip, tmp_path, monkeypatch, capsys):
    if "supervision" in code:
        pytest.importorskip("supervision")
    (tmp_path / "in.mp4").write_bytes(clip.read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(PAGE), "exec"), {"__name__": "example"})
    said = capsys.readouterr().out
    assert said or list(tmp_path.glob("*.mp4")) != [tmp_path / "in.mp4"]


def test_every_public_name_is_there_explained_and_in_the_page():
    assert set(stream.__all__) == NAMES
    assert dir(stream) == sorted(NAMES)
    text = PAGE.read_text()
    for name in NAMES - {"__version__", "Video"}:
        value = getattr(stream, name)
        assert value is getattr(importlib.import_module(value.__module__), name)
        assert len(value.__doc__) > 20
        assert f"stream.{name}" in text, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = stream.nothing


def test_importing_the_package_loads_nothing_heavy():
    heavy = ("numpy", "cv2", "av", "onnxruntime", "torch", "rich", "typer", "supervision")
    # Nor `typing`: until the command line is loaded, Ctrl-C shows how far Python has come.
    code = (
        "import sys, stream.cli, stream; dir(stream); "
        f"print([one for one in {('typing', *heavy)} if one in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],  # what is installed may load anything at the start
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_names_are_what_they_are_whatever_was_imported_before():
    # In one process, as what each loads of others' takes longer than all of ours.
    code = """
import importlib, sys
for first in ("stream.api", "stream.drawing", "stream.instances"):
    assert "stream" not in sys.modules
    importlib.import_module(first)
    import stream
    print(callable(stream.draw), callable(stream.open))
    for name in [one for one in sys.modules if one.partition(".")[0] == "stream"]:
        del sys.modules[name]
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["True"] * 6
