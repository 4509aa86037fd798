"""`stream fleet` as users run it, in a process of its own, and what its results are to be."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import av
import psutil
import pytest

from stream.errors import StreamError
from stream.fleet.entries import State
from stream.fleet.ledger import Ledger
from stream.fleet.task import Task
from tests import tiny_models
from tests.fleet import doing

ROOT = Path(__file__).resolve().parents[2]


# Ray's workers run at a niceness of 15, which is long in coming on a busy machine.
AWAKE = {"RAY_worker_niceness": "0"}


def stream(*words: object, program: str = "stream", **more) -> subprocess.Popen[str]:
    paths = os.pathsep.join(str(ROOT / one) for one in (".", "models", "export"))
    return subprocess.Popen(
        [sys.executable, "-m", program, *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths, "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", **AWAKE},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **more,
    )


def run(*words: object, code: int = 0) -> str:
    with stream(*words) as process:
        said = process.communicate(timeout=1500)[0]
    assert process.returncode == code, said
    return said


def asked(clips: Path, out: Path, model: Path) -> tuple[object, ...]:
    return (
        "fleet", clips, "-o", out, "--model", model, "--provider", "cpu", "--no-timing",
    )  # fmt: skip


def samples(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_models.bright(tmp_path / "bright.onnx", 200)


def same_as_one_by_one(clips: Path, out: Path, model: Path, folder: Path, *how: object) -> None:
    """Compares each result with what `stream file` makes."""
    run(
        "file", clips, "-o", folder, "--model", model, "--provider", "cpu", "--no-timing",
        "--quiet", *how,
    )  # fmt: skip
    expected = sorted(path.name for path in clips.glob("*.mp4"))
    assert sorted(path.name for path in out.glob("*.mp4")) == expected
    for name in expected:
        assert samples(out / name) == samples(folder / name), name


def expected_of(clips: Path, folder: Path, model: Path) -> dict[str, tuple[list[bytes], bytes]]:
    """The pictures and the records of each clip done at once, by its name."""
    worker = doing.a_worker(doing.a_plan(model))
    found = {}
    folder.mkdir()
    for path in clips.iterdir():
        targets = (str(folder / path.name), str(folder / f"{path.stem}.ndjson"))
        assert worker.do(Task(1, str(path), targets)).error is None
        found[path.stem] = (samples(Path(targets[0])), Path(targets[1]).read_bytes())
    return found


def done_of(out: Path) -> dict[str, tuple[int, int]]:
    """Of each result that the ledger has as done which file it is, and when that was written."""
    ledger = Ledger(out / ".stream-fleet.sqlite", reading=True)
    try:
        targets = [target for one in ledger.entries(State.DONE) for target in one.wanted.targets]
    finally:
        ledger.close()
    about = {target: Path(target).stat() for target in targets}
    return {target: (one.st_ino, one.st_mtime_ns) for target, one in about.items()}


def wait_for(driver: subprocess.Popen[str], out: Path, results: int) -> None:
    """Waits until a driver has so many results, however long that takes it."""
    wait_until(driver, lambda: len(list(out.glob("*.mp4"))) >= results)


def wait_until(driver: subprocess.Popen[str], so: Callable[[], bool]) -> None:
    """Waits until something is so, for as long as a driver is at work."""
    while not so():
        if driver.poll() is not None and not so():
            assert driver.stdout is not None
            raise AssertionError(f"the driver has ended: {driver.stdout.read()}")
        time.sleep(0.2)


def workers() -> list[psutil.Process]:
    """The workers of what this test has started: Ray's, and processes of a driver."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            words = " ".join(process.cmdline())
            if words.startswith("ray::Worker") or "stream.fleet.worker_process" in words:
                found.append(process)
    return found


def killing(results: Callable[[], int], until: threading.Event, each: int) -> threading.Thread:
    """Kills a worker each time that so many further results are there, however long that takes."""

    def run() -> None:
        killed_at = 0
        while not until.wait(0.05):
            if results() >= killed_at + each:
                killed_at += each
                with suppress(psutil.NoSuchProcess, IndexError):
                    random.choice(workers()).kill()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def parts_done(out: Path) -> int:
    """How many tasks of parts the ledger knows to be done."""
    path = out / ".stream-fleet.sqlite"
    if not path.is_file():
        return 0
    try:
        ledger = Ledger(path, reading=True)
    except StreamError:
        return 0  # it is being made
    try:
        tasks = [one for of in ledger.parts().values() for one in of]
        return sum(one.state == State.DONE for one in tasks)
    except sqlite3.Error:
        return 0
    finally:
        ledger.close()
