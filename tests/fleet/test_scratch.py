"""What a task has on its way is gone when it ends, and at the latest when another begins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stream.fleet import scratch as module
from stream.fleet.scratch import scratch, tidy

_HOLDS = """
import sys, time
from stream.fleet.scratch import scratch
with scratch() as folder:
    (folder / "film.mp4").write_bytes(b"half")
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_a_folder_is_there_for_as_long_as_the_block(here: Path) -> None:
    with scratch() as one, scratch() as other:
        (one / "sub").mkdir()
        tidy()
        assert one.is_dir() and other.is_dir() and one != other
    assert not list(here.iterdir())


def test_what_a_killed_worker_left_goes_and_what_is_in_use_stays(here: Path) -> None:
    (here / "stream-fleet-being-made").mkdir()
    (here / "another").mkdir()
    with subprocess.Popen([sys.executable, "-c", _HOLDS], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().decode().strip())
        tidy()
        assert (folder / "film.mp4").read_bytes() == b"half"
        process.kill()
    tidy()
    assert sorted(path.name for path in here.iterdir()) == ["another", "stream-fleet-being-made"]


def test_a_folder_that_was_taken_before_it_was_locked_is_made_anew(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [False, True]
    monkeypatch.setattr(module, "lock", lambda file, **_: answers.pop(0))
    with scratch() as folder:
        assert [folder] == list(here.iterdir())
    assert not answers
