"""What docs/records.md shows works as it stands."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import stream

PAGE = Path(__file__).resolve().parents[2] / "docs" / "records.md"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the records of an astronaut who moves a little."""
    from tests import photos

    picture = photos.astronaut()
    frames = [np.ascontiguousarray(picture[:, 4 * step : 4 * step + 480]) for step in range(4)]
    place = tmp_path_factory.mktemp("docs")
    stream.process(frames, records=place / "found.ndjson", fps=25)
    return place


def examples():
    for kind, code in BLOCK.findall(PAGE.read_text()):
        yield pytest.param(kind, code, id=kind)


@pytest.mark.parametrize(("kind", "code"), list(examples()))
def test_every_example_runs_as_it_stands(kind, code, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    if kind == "python":
        exec(compile(code, str(PAGE), "exec"), {"__name__": "example"})
        assert "person" in capsys.readouterr().out
        return
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    done = subprocess.run(code, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout.strip()
    for value in done.stdout.splitlines() if "-c" in code else [done.stdout]:
        json.loads(value)
