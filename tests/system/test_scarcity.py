"""What is said where the system gives no more memory or threads."""

from __future__ import annotations

import errno
import threading
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest

from stream.cli import _main
from stream.errors import SourceError
from stream.sinks._encoder_refusals import refusal
from stream.sources._reader import undecodable
from stream.system.installation import Family, defect
from stream.system.scarcity import scarce_threads, scarcity


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that are tried at once only the first ones are given, as by a limit."""
    start = threading.Thread.start
    given = []

    def refuse(self: threading.Thread) -> None:
        if len(given) == 3:
            raise RuntimeError("can't start new thread")
        given.append(self)
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refuse)


def test_what_libraries_say_of_memory_and_threads_is_told_from_other_errors() -> None:
    for error in (
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libopenblas.so: failed to map segment from shared object"),
        RuntimeError("std::bad_alloc"),
    ):
        cause, advice = scarcity(error) or ("", "")
        assert "no more memory" in cause and "ulimit -v" in advice, error
    cause, _ = scarcity(RuntimeError("can't start new thread")) or ("", "")
    assert "no more" in cause
    for error in (RuntimeError("thread"), OSError(errno.ENOENT, "none"), ImportError("libGL.so")):
        assert scarcity(error) is None


def test_threads_are_there_usually() -> None:
    before = threading.active_count()
    assert scarce_threads() is None
    assert threading.active_count() == before


@pytest.mark.usefixtures("no_threads")
def test_a_file_is_not_called_damaged_where_its_decoder_gets_no_threads() -> None:
    told = undecodable(Path("in.mp4"), "h264")
    assert isinstance(told, SourceError)
    assert "in.mp4 cannot be decoded: the system " in str(told) and "damaged" not in str(told)


@pytest.mark.usefixtures("no_threads")
def test_an_encoder_is_not_said_to_refuse_pictures_where_it_gets_no_threads() -> None:
    choice = SimpleNamespace(name="libx264", options={})
    told = refusal(choice, (64, 48), "yuv420p", Fraction(1, 25))
    assert "the system " in told and "refuses" not in told


def test_a_package_is_not_called_broken_where_memory_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stream_short.py").write_text(
        "raise ImportError('lib.so: failed to map segment from shared object')"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    cause, advice = defect(Family("Made up", "stream_short", ("made-up",), ())) or ("", "")
    assert "no more memory" in cause and "reinstall" not in advice


def test_a_lack_of_memory_is_no_fault_of_the_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def short(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(_main, "get_command", short)
    assert _main._run(["models"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("stream: the system has no more memory") and "fault" not in said
