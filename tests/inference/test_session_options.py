"""Threads that spin briefly within an inference that is waited for, and never else."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.inference import session_options as module
from stream.inference.catalogue import find
from stream.inference.providers import runtime
from stream.inference.session import open_session
from stream.inference.session_options import session_options
from tests import tiny_models

ALLOWED = "session.intra_op.allow_spinning"
BRIEF = {
    ALLOWED: "1",
    "session.intra_op.spin_duration_us": "50",
    "session.force_spinning_stop": "1",
}


class _Release:
    """ONNX Runtime, of another release."""

    def __init__(self, version: str) -> None:
        self.__version__ = version
        self.SessionOptions = runtime().SessionOptions


def _told(options: object, name: str) -> str:
    try:
        return str(options.get_session_config_entry(name))  # type: ignore[attr-defined]
    except RuntimeError:
        return ""


@pytest.mark.parametrize(
    ("version", "spins", "brief"),
    [
        ("1.26.0", True, True),
        ("1.31.1", True, True),
        ("2.0.0.dev20270101+cu13", True, True),
        ("1.25.9", True, False),
        ("1.9.0", True, False),
        ("1.31.1", False, False),
    ],
)
def test_threads_spin_briefly_where_a_release_can_be_told_how_long(
    monkeypatch: pytest.MonkeyPatch, version: str, spins: bool, brief: bool
) -> None:
    monkeypatch.setattr(module, "runtime", lambda: _Release(version))
    options = session_options(2, spins=spins)
    wanted = BRIEF if brief else {**dict.fromkeys(BRIEF, ""), ALLOWED: "0"}
    assert {name: _told(options, name) for name in BRIEF} == wanted


@pytest.mark.parametrize(
    ("throughput", "yields", "spins"),
    [(False, False, True), (True, False, False), (False, True, False)],
)
def test_only_an_inference_that_is_waited_for_spins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, throughput: bool, yields: bool, spins: bool
) -> None:
    monkeypatch.setattr(module, "_BRIEFLY_SINCE", (0, 0))
    path = tiny_models.bright(tmp_path / "b.onnx")
    opened = open_session(find(path), "cpu", 2, throughput=throughput, yields=yields)
    options = opened.handle.get_session_options()
    assert _told(options, ALLOWED) == ("1" if spins else "0")
