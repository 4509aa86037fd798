"""What the system refuses is told from faults of the program."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stream
import stream.records
from stream.errors import StreamError, is_unread, refusal, refusals


def test_what_the_system_says_of_a_file_is_a_sentence() -> None:
    for name in ("a.mp4", b"a.mp4"):
        error = OSError(errno.ENAMETOOLONG, "File name too long", name)
        assert str(refusal(error)) == "a.mp4 cannot be used: File name too long"
    with pytest.raises(StreamError, match="b cannot be used: denied"), refusals():
        raise PermissionError(errno.EACCES, "denied", "b")


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a folder that is used stays")
def test_a_current_folder_that_was_taken_away_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileNotFoundError), refusals():  # as by a program that is not installed
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(StreamError, match="current folder is not there any more"), refusals():
        Path("a.mp4").absolute()


def test_other_errors_stay_what_they_are() -> None:
    for error in (OSError(errno.EBADF, "bad", "a"), OSError(errno.EACCES, "no"), ValueError("a")):
        assert refusal(error) is None
        with pytest.raises(type(error)) as raised, refusals():
            raise error
        assert raised.value is error


@pytest.mark.parametrize("name", ["in\0.mp4", Path("in\0.mp4")])
def test_a_name_with_a_zero_byte_is_refused_wherever_python_takes_one(name: str | Path) -> None:
    for use in (
        lambda: stream.open(name),
        lambda: stream.process(name, "out.mp4"),
        lambda: stream.process([np.zeros((8, 8, 3), np.uint8)], name),
        lambda: stream.VideoWriter(name),
    ):
        with pytest.raises(StreamError, match=r"in.x00\.mp4' names nothing"):
            use()


def test_what_is_no_path_is_refused_wherever_python_takes_one(tmp_path: Path) -> None:
    clip = str(tmp_path / "in.mp4")
    for wrong in (io.BytesIO(b"{}\n"), b"out.mp4", None, 5, ["out.mp4"], ""):
        takers: list[Callable[[Any], object]] = [
            stream.VideoWriter,
            lambda given: list(stream.records.read(given)),
        ]
        if isinstance(wrong, io.BytesIO):
            takers.append(lambda given: stream.process(clip, records=given))
        for taker in takers:
            with pytest.raises(StreamError, match=r"a path is a text or a pathlib\.Path|is empty"):
                taker(wrong)


def test_a_pipe_that_nobody_reads_is_known_on_windows_too(monkeypatch: pytest.MonkeyPatch) -> None:
    invalid = OSError(errno.EINVAL, "Invalid argument")
    assert is_unread(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert not is_unread(invalid)
    monkeypatch.setattr(sys, "platform", "win32")
    assert is_unread(invalid) and not is_unread(OSError(errno.ENOSPC, "No space left"))
