"""What a task has on its way is gone when it ends, and at the latest when another begins."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

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
    (here / "another").mkdir()
    with subprocess.Popen([sys.executable, "-c", _HOLDS], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().decode().strip())
        tidy()
        assert (folder / "film.mp4").read_bytes() == b"half"
        process.kill()
    tidy()
    assert sorted(path.name for path in here.iterdir()) == ["another"]


def test_however_far_a_worker_came_with_removing_its_folder_the_next_one_ends_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock had gone first, or it stayed behind empty: nobody took it for a dead one's."""
    for steps in range(9):
        left = iter(range(steps))

        def killed_after(does: Callable[..., None], *words: Any, **more: Any) -> None:
            if next(left, None) is None:  # noqa: B023 - the loop waits for it
                raise SystemExit
            does(*words, **more)

        with monkeypatch.context() as patch, suppress(SystemExit):
            for name in ("unlink", "rmdir"):
                patch.setattr(os, name, partial(killed_after, getattr(os, name)))
            with scratch() as folder:
                (folder / "copy").mkdir()
                (folder / "copy" / "film.mp4").write_bytes(b"half")
                (folder / "a.mp4").write_bytes(b"half")
                (folder / "z.mp4").write_bytes(b"half")
        assert folder.exists() == (steps < 6), steps
        tidy()
        assert not list(here.iterdir()), steps


def test_whose_folder_is_taken_for_a_dead_one_s_as_it_is_made_makes_another(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, made = tempfile.mkdtemp, []

    def slowly(**words: str) -> str:
        made.append(make(**words))
        if len(made) == 1:
            tidy()
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", slowly)
    with scratch() as folder:
        assert str(folder) == made[1]
        assert [folder] == list(here.iterdir())


def test_a_folder_that_was_taken_before_it_was_locked_is_made_anew(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [False, True]
    monkeypatch.setattr(module, "lock", lambda file, **_: answers.pop(0))
    with scratch() as folder:
        assert [folder] == list(here.iterdir())
    assert not answers
