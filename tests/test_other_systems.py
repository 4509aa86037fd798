"""The main ways through the program where Python lacks what only Linux, or only Unix, has.

The system stays the one that runs the tests: that files which are open cannot be removed on
Windows, or that its paths have drives, is not seen here.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from stream.run.keys import save_picture
from tests import tiny_models
from tests.cli.conftest import environment

ONLY_LINUX = {
    "os": "fdatasync getxattr listxattr pidfd_open removexattr sched_getaffinity setxattr splice",
    "signal": "SIGPOLL SIGPWR SIGSTKFLT",
    "modules": "",
}
ONLY_UNIX = {
    "os": (
        "O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_SYNC chown fork geteuid getgid getloadavg "
        "getpgid getuid killpg mkfifo nice pathconf pread pwrite sendfile setsid sysconf uname"
    ),
    "signal": "SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGTSTP SIGUSR1 SIGUSR2",
    "modules": "fcntl grp pty pwd resource syslog termios tty",
}
SCRIPT = """
import json, os, signal, socket, subprocess, sys
# What others do for their own system is theirs: they are loaded on this one.
import asyncio, platform, shutil, tempfile
import av, cv2, numpy, onnxruntime, psutil, rich.progress, typer

system, gone, commands = json.loads(sys.argv[1])
for lacking in gone:
    for name in lacking["modules"].split():
        sys.modules[name] = None
    for module in (os, signal):
        for name in lacking[module.__name__].split():
            if hasattr(module, name):
                delattr(module, name)
if system == "win32":
    subprocess.CREATE_NEW_PROCESS_GROUP = 0
    del socket.AF_UNIX
sys.platform = system
from stream.cli import main
for command in commands:
    try:
        main(command)
    except SystemExit as ended:
        print("ended with", ended.code, flush=True)
"""


def test_opencv_is_given_no_names_of_files(tmp_path: Path) -> None:
    """It takes them on Windows for letters of a code page, and finds none of others."""
    root = Path(__file__).parents[1]
    for folder in ("stream", "models", "export"):
        for path in (root / folder).rglob("*.py"):
            assert not re.search(r"cv2\.im(read|write)", path.read_text("utf-8")), path
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert save_picture(tmp_path / "Füße →.png", picture) == "saved Füße →.png"
    data = np.fromfile(tmp_path / "Füße →.png", np.uint8)
    assert np.array_equal(cv2.imdecode(data, cv2.IMREAD_COLOR), picture)
    assert save_picture(tmp_path / "no" / "a.png", picture).endswith("No such file or directory")


@pytest.mark.skipif(sys.platform != "linux", reason="what it takes away is Linux'")
@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_files_photos_records_and_a_look_at_the_machine(tmp_path: Path, system: str) -> None:
    clip = Path(__file__).parents[1] / "stream" / "assets" / "demo.mp4"
    model = str(tiny_models.bright(tmp_path / "bright.onnx", 100))
    limits = ["--limit", "3", "--model", model, "--provider", "cpu"]
    commands = [
        ["file", str(clip), "-o", "out.mp4", "--records", "-", *limits],
        ["file", str(clip), "-o", "out.mp4", "--overwrite", "--masks", "masks", *limits],
        ["image", "masks", "-o", "again/", "--model", model, "--provider", "cpu"],
        ["webcam", "--list"],
        ["models"],
    ]
    gone = [ONLY_LINUX, ONLY_UNIX] if system == "win32" else [ONLY_LINUX]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps([system, gone, commands])],
        cwd=tmp_path,
        env=environment() | {"HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path / "Local")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # No camera is found on another system's behalf, which its list says.
    assert done.stdout.count("ended with 0") == len(commands) - 1, done.stdout + done.stderr
    assert done.stdout.count("ended with 1") == 1 and "no camera found" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.count('{"frame":') == 3
    for folder in ("masks", "again"):
        assert len(list((tmp_path / folder).iterdir())) == 3
    caches = "Local" if system == "win32" else "Library/Caches"
    assert (tmp_path / caches / "stream-segmentation").is_dir()
    assert not list(tmp_path.glob("*.partial*"))
