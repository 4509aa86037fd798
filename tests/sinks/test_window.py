"""The window: a real one under Xvfb, with real keys, looked at as a screenshot."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from stream.sinks import window as module
from stream.sinks.window import HELP, opencv_came_first, why_no_window, write_lines
from tests import tiny_models
from tests.cli.conftest import environment
from tests.sinks.desktop import Desktop, desktop

ROOT = Path(__file__).resolve().parents[2]
TITLE = "stream: test picture"


@pytest.fixture(scope="module")
def screen() -> Iterator[Desktop]:
    with desktop() as one:
        yield one


@contextmanager
def webcam(screen: Desktop, folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`stream webcam pattern` in a window."""
    model = tiny_models.bright(folder / "bright.onnx", threshold=230)
    process = subprocess.Popen(
        [sys.executable, "-m", "stream.cli", "webcam", "pattern", "--model", str(model), *options],
        cwd=folder,
        env={**screen.environment, "PYTHONPATH": environment()["PYTHONPATH"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> str:
    """What it said on standard error, after it ended well."""
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Traceback" not in said and "QFont" not in said
    return said


def seen(screen: Desktop, condition: Callable[[np.ndarray], bool], what: str) -> np.ndarray:
    """The screen once a condition holds, however busy the machine is."""
    deadline = time.monotonic() + 60
    while not condition(picture := screen.screenshot()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return picture


def there(folder: Path, pattern: str) -> Path:
    """The file of that name, once it is there."""
    deadline = time.monotonic() + 60
    while not (found := list(folder.glob(pattern))):
        assert time.monotonic() < deadline, f"no {pattern} came"
        time.sleep(0.05)
    return found[0]


def test_keys_do_what_the_help_says(screen, tmp_path):
    with webcam(screen, tmp_path, "--report", "report.json") as process:
        screen.window(TITLE)
        first = seen(screen, lambda picture: picture.std() > 40, "the window shows nothing")
        bright = first.mean()
        screen.press("question")
        seen(screen, lambda picture: picture.mean() < bright - 2, "no plate with the keys")
        screen.press("question", "m")
        seen(screen, lambda picture: picture.mean() < bright / 1.5, "the look is still overlay")
        screen.press("m", "t", "l", "plus", "minus", "s", "r")
        there(tmp_path, "stream-*.png")
        recording = there(tmp_path, "stream-*.mkv")
        size = recording.stat().st_size
        seen(screen, lambda _: recording.stat().st_size > size, "nothing is being recorded")
        screen.press("r", "space")
        still = screen.screenshot()

        def stands_still(picture: np.ndarray) -> bool:
            nonlocal still
            before, still = still, picture
            return bool((before == picture).mean() > 0.9999)

        seen(screen, stands_still, "paused, the picture moves")
        seen(screen, stands_still, "paused, the picture moves")
        screen.press("space")
        seen(screen, lambda picture: (picture == still).mean() < 0.999, "it did not go on")
        screen.press("f")

        def is_full(picture: np.ndarray) -> bool:
            # 4:3 on 16:10: it reaches from top to bottom.
            return picture[:4, 300:900].std() > 5 and picture[-4:, 300:900].std() > 5

        seen(screen, is_full, "it is not full")
        screen.press("f", "q")
        ended(process)
    (snapshot,) = tmp_path.glob("stream-*.png")
    assert snapshot.stat().st_size > 1000
    with av.open(str(recording)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 0
    assert (tmp_path / "report.json").exists()


def test_closing_the_window_ends_the_run_properly(screen, tmp_path):
    with webcam(screen, tmp_path, "-o", "out.mp4") as process:
        screen.window(TITLE)
        seen(screen, lambda picture: picture.std() > 40, "the window shows nothing")
        screen.close(TITLE)
        ended(process)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) > 0


def test_without_a_display_the_reason_is_said(monkeypatch):
    monkeypatch.setattr(module, "opencv_came_first", lambda: True)
    monkeypatch.setattr(module, "SYSTEM", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    reason = why_no_window()
    assert reason is not None and "--no-display" in reason and "DISPLAY is not set" in reason
    monkeypatch.setenv("DISPLAY", ":4711")
    reason = why_no_window()
    assert reason is not None and "no window can be opened on display ':4711'" in reason


def test_a_window_is_known_to_hang_where_pyav_came_first():
    order = "import {}; from stream.sinks.window import *; print(opencv_came_first())"
    for first, good in (("av, cv2", "False"), ("cv2, av", "True"), ("cv2", "True")):
        done = subprocess.run(
            [sys.executable, "-c", order.format(first)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == good
    assert isinstance(opencv_came_first(), bool)


@pytest.mark.parametrize("size", [(480, 640), (1080, 1920), (60, 80)])
def test_lines_stay_in_the_picture(size):
    picture = np.full((*size, 3), 200, np.uint8)
    write_lines(picture, HELP, bottom=False)
    write_lines(picture, ["a", "b" * 200], bottom=True)
    assert picture.shape == (*size, 3) and picture.min() < 60
    untouched = np.full((*size, 3), 200, np.uint8)
    write_lines(untouched, [], bottom=True)
    assert (untouched == 200).all()
