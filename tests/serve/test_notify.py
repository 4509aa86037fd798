"""What systemd is told."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stream.serve.notify import notify, watchdog_seconds
from tests.serve.served import bright, plan_of, served

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")


@pytest.fixture(params=["file", "abstract"])
def systemd(request, tmp_path, monkeypatch):
    """Listens as systemd does."""
    if request.param == "file":
        name = address = str(tmp_path / "notify")
    else:
        name = f"@stream-test-{os.getpid()}"
        address = "\0" + name[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(address)
        channel.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield channel


def test_a_state_arrives(systemd):
    assert notify("READY=1")
    assert systemd.recv(100) == b"READY=1"


def test_without_systemd_nobody_is_told(monkeypatch, tmp_path):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1")
    for address in ("", "nonsense", str(tmp_path / "gone")):
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        assert not notify("READY=1")


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [("30000000", None, 30.0), ("", None, None), ("x", None, None), ("0", None, None),
     ("30000000", "own", 30.0), ("30000000", "1", None)],
)  # fmt: skip
def test_how_often_it_wants_to_hear(monkeypatch, usec, pid, seconds):
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    if pid is not None:
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)
    assert watchdog_seconds() == seconds


def test_a_server_says_that_it_is_ready_alive_and_gone(systemd, monkeypatch, tmp_path):
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    with served([plan_of()], bright(tmp_path)):
        heard = [systemd.recv(100) for _ in range(4)]
    while heard[-1] != b"STOPPING=1":
        heard.append(systemd.recv(100))
    assert heard[0] == b"READY=1"
    assert set(heard[1:-1]) == {b"WATCHDOG=1"} and len(heard) >= 4


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here"
)
def test_the_unit_in_the_documentation_is_one_that_systemd_takes(tmp_path):
    page = (Path(__file__).resolve().parents[2] / "docs" / "display.md").read_text()
    unit = page.partition("```ini\n")[2].partition("```")[0]
    command = "/opt/stream/bin/stream run /etc/stream/booth.toml"
    assert f"ExecStart={command}\n" in unit
    # A program and a user that are there; all else is as people copy it.
    unit = unit.replace(command, sys.executable).replace("User=stream", f"User={getpass.getuser()}")
    file = tmp_path / "stream.service"
    file.write_text(unit)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(file)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
