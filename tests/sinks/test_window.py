"""The window: a real one under Xvfb, with real keys, looked at as a screenshot."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream.errors import SinkError
from stream.frame import Frame
from stream.settings.options import OutputOptions
from stream.sinks import window as module
from stream.sinks._window_process import fitting, key_of, letterboxed, write_lines
from stream.sinks.window import HELP, WindowSink, why_no_window
from tests import tiny_models
from tests.cli.conftest import environment
from tests.sinks.desktop import Desktop, desktop
from tests.sinks.running import info

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
        time.sleep(0.1)
    return picture


def greys(picture: np.ndarray) -> float:
    """How much of a picture is neither black nor white."""
    return float(((picture > 20) & (picture < 235)).mean())


def shows_something(picture: np.ndarray) -> bool:
    """Whether a picture is there; a window that has just come up is white."""
    return greys(picture) > 0.1


def there(folder: Path, pattern: str) -> Path:
    """The file of that name, once it is there."""
    deadline = time.monotonic() + 60
    while not (found := list(folder.glob(pattern))):
        assert time.monotonic() < deadline, f"no {pattern} came"
        time.sleep(0.05)
    return found[0]


def is_whole(recording: Path) -> bool:
    """Whether a recording in Matroska has the end that says how long it is."""
    with av.open(str(recording)) as container:
        return container.duration is not None


@pytest.mark.real_time
def test_keys_do_what_the_help_says(screen, tmp_path):
    """Each is waited for: of those pressed while a window is held up OpenCV tells the last."""
    with webcam(screen, tmp_path, "--report", "report.json") as process:
        screen.window(TITLE)
        first = seen(screen, shows_something, "the window shows nothing")
        bright, tones = first.mean(), greys(first)
        screen.press("question")
        seen(screen, lambda picture: picture.mean() < bright - 2, "no plate with the keys")
        screen.press("question")
        seen(screen, lambda picture: picture.mean() > bright - 2, "the plate stays")
        screen.press("m")
        seen(screen, lambda picture: greys(picture) < tones / 3, "the look is still overlay")
        screen.press("m")
        seen(screen, lambda picture: greys(picture) > tones / 2, "the look is still binary")
        screen.press("t", "l", "plus", "minus", "s")
        there(tmp_path, "stream-*.png")
        screen.press("r")
        recording = there(tmp_path, "stream-*.mkv")
        size = recording.stat().st_size
        seen(screen, lambda _: recording.stat().st_size > size, "nothing is being recorded")
        screen.press("r")
        seen(screen, lambda _: is_whole(recording), "the recording does not end")
        screen.press("space")
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
        seen(screen, shows_something, "the window shows nothing")
        screen.close(TITLE)
        ended(process)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) > 0


def test_without_a_display_the_reason_is_said(monkeypatch):
    monkeypatch.setattr(module, "SYSTEM", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    reason = why_no_window()
    assert reason is not None and "--no-display" in reason and "DISPLAY is not set" in reason
    monkeypatch.setenv("DISPLAY", ":4711")
    reason = why_no_window()
    assert reason is not None and "no window can be opened on display ':4711'" in reason


def frame(colour: tuple[int, int, int], number: int = 0, size=(48, 64)) -> Frame:
    pixels = np.full((*size, 3), colour, np.uint8)
    picture = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
    return Frame(picture, number, number, Fraction(1, 30))


@pytest.fixture
def window(screen, monkeypatch) -> Iterator[WindowSink]:
    """A window of this process's, though PyAV was loaded before OpenCV, which OpenCV minds."""
    for name in ("DISPLAY", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, screen.environment[name])
    sink = WindowSink("stream: here", now=lambda: clock[0])
    clock = [0.0]
    sink.clock = clock  # type: ignore[attr-defined]
    yield sink
    sink.close()


def inside(screen: Desktop) -> np.ndarray:
    """What the window shows, without its frame, of which xdotool counts the upper left twice."""
    number = screen.window("stream: here")
    lines = screen.do("xdotool", "getwindowgeometry", "--shell", number).splitlines()
    place = dict(line.split("=") for line in lines)
    left, top, width, height = (int(place[name]) for name in ("X", "Y", "WIDTH", "HEIGHT"))
    return screen.screenshot()[top : top + height - 30, left : left + width - 10]


def test_a_window_of_another_shape_has_black_margins_and_a_hint(screen, window):
    window.write(frame((200, 40, 40), size=(480, 640)))
    number = screen.window("stream: here")

    def shown(condition, what):
        def look(_):
            window.pump()
            return condition(inside(screen))

        seen(screen, look, what)

    def bottom(picture):
        return picture[-20:, 5:200]

    shown(lambda one: one.shape[0] > 400 and bottom(one).max() > 230, "no hint of the keys")
    window.clock[0] = 3.5
    shown(lambda one: np.ptp(bottom(one), axis=(0, 1)).max() < 12, "the hint stays")
    screen.do("xdotool", "windowsize", "--sync", number, "1000", "300")

    def margins(picture):
        sides = (picture[:, :200], picture[:, -200:])
        middle = picture[20:-20, 420:580, 0]
        return all(side.max() == 0 for side in sides) and np.median(middle) > 180

    shown(margins, "no black margins left and right")
    screen.do("xdotool", "windowsize", "--sync", number, "300", "600")
    shown(
        lambda one: one[:80].max() == 0 == one[-80:].max() and np.median(one[280, :, 0]) > 180,
        "no black margins above and below",
    )


def test_the_display_may_go_away(tmp_path):
    # A recording beside it lives on, and so does this process.
    with desktop() as dying, webcam(dying, tmp_path, "-o", "out.mkv") as process:
        dying.window(TITLE)
        there(tmp_path, "out.mkv")
        seen(dying, shows_something, "the window shows nothing")
        dying.die()
        recording = tmp_path / "out.mkv"
        for _ in range(2):
            size = recording.stat().st_size
            deadline = time.monotonic() + 60
            while recording.stat().st_size <= size:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline, "nothing is recorded any more"
                time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1 and "the display has gone away" in said
    assert "Traceback" not in said
    with av.open(str(recording)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 0


def test_a_picture_larger_than_the_screen_is_wholly_on_it(screen, window):
    window.write(frame((200, 40, 40), size=(2160, 3840)))
    number = screen.window("stream: here")

    def fits(_):
        window.pump()
        lines = screen.do("xdotool", "getwindowgeometry", "--shell", number).splitlines()
        place = dict(line.split("=") for line in lines)
        return (place["WIDTH"], place["HEIGHT"]) == ("1152", "648")

    seen(screen, fits, "the window is larger than the screen")


_SAVER = """
import ctypes, sys
class Info(ctypes.Structure):
    _fields_ = [("window", ctypes.c_ulong), ("state", ctypes.c_int), ("kind", ctypes.c_int),
                ("since", ctypes.c_ulong), ("idle", ctypes.c_ulong), ("mask", ctypes.c_ulong)]
x11, saver, info = ctypes.CDLL("libX11.so.6"), ctypes.CDLL("libXss.so.1"), Info()
x11.XOpenDisplay.restype = ctypes.c_void_p
x11.XDefaultRootWindow.restype = ctypes.c_ulong
display = ctypes.c_void_p(x11.XOpenDisplay(None))
if "soon" in sys.argv:
    x11.XSetScreenSaver(display, 1, 0, 1, 1)
root = ctypes.c_ulong(x11.XDefaultRootWindow(display))
saver.XScreenSaverQueryInfo(display, root, ctypes.byref(info))
print(info.state, info.idle)
"""
"""Says whether the screen saver is there, and for how many ms nothing moved; it may come "soon"."""


@pytest.mark.skipif(find_library("Xss") is None, reason="apt-get install libxss1")
def test_on_the_full_screen_no_screen_saver_comes(monkeypatch):
    with desktop() as screen:
        for name in ("DISPLAY", "XDG_RUNTIME_DIR"):
            monkeypatch.setenv(name, screen.environment[name])
        sink = WindowSink("stream: here")

        def wait_for(condition):
            deadline = time.monotonic() + 60
            while not condition(*found()):
                assert time.monotonic() < deadline, found()
                for _ in range(10):  # asking costs more than the window
                    sink.pump()
                    time.sleep(0.02)

        def found() -> list[int]:
            return [int(one) for one in screen.do(sys.executable, "-c", _SAVER).split()]

        try:
            sink.write(frame((200, 40, 40)))
            # Only now, as the server forgets what it was told when nobody is connected.
            screen.do(sys.executable, "-c", _SAVER, "soon")
            wait_for(lambda there, idle: there)
            sink.toggle_full_screen()
            sink.pump()
            screen.do("xdotool", "mousemove_relative", "1", "1")
            wait_for(lambda there, idle: idle > 2500)
            assert found()[0] == 0, "by the server's clock it was to come long ago"
            sink.toggle_full_screen()
            sink.pump()
            wait_for(lambda there, idle: there)
        finally:
            sink.close()


def test_a_window_has_the_pictures_size_or_the_largest_a_screen_has_room_for():
    laptop = (1366, 768)
    for size, screen, wanted in (
        ((640, 480), laptop, (640, 480)),
        ((1280, 720), laptop, (1229, 691)),  # it would fit but for its frame
        ((3840, 2160), laptop, (1229, 691)),
        ((2160, 3840), laptop, (389, 691)),
        ((60000, 2), laptop, (1229, 1)),
        ((3840, 2160), None, (3840, 2160)),
        ((3840, 2160), (0, 0), (3840, 2160)),
    ):
        assert fitting(size, screen) == wanted, (size, screen)


def test_events_are_left_to_qt(screen, window, monkeypatch, tmp_path):
    """Xlib took some, and windows stayed a black corner; the linker says whom Qt asks."""
    if find_library("X11-xcb") is None:
        pytest.skip("the system's libX11-xcb is not here: apt-get install libx11-xcb1")
    monkeypatch.setenv("LD_DEBUG", "bindings")
    monkeypatch.setenv("LD_DEBUG_OUTPUT", str(tmp_path / "linker"))
    window.write(frame((0, 0, 0)))
    said = (tmp_path / f"linker.{window._process.pid}").read_text()
    bound = [line for line in said.splitlines() if "`XSetEventQueueOwner'" in line]
    assert bound and all("/libX11-xcb.so.1 [" in line for line in bound), bound


def test_a_window_that_has_ended_is_an_error_once_it_is_noticed(screen, window):
    window.write(frame((0, 0, 0)))
    window._process.kill()
    window._process.wait()
    with pytest.raises(SinkError, match="gone away"):
        for number in range(100):
            window.write(frame((0, 0, 0), number))
            window.pump()


def test_closing_it_between_two_pictures_is_no_fault_of_the_display(screen, window):
    window.write(frame((10, 200, 10)))
    screen.window("stream: here")
    screen.close("stream: here")
    deadline = time.monotonic() + 60
    number = 0
    while window.pump():  # one picture after the other, so that it is closed while one is drawn
        number += 1
        window.write(frame((10, 200, 10), number))
        assert time.monotonic() < deadline, "it is not noticed"


def test_pictures_that_grow_are_shown_and_nothing_is_left_behind(screen, window):
    before = set(Path("/dev/shm").glob("stream-window-*"))
    for number, size in enumerate([(48, 64), (96, 128), (240, 320), (48, 64)]):
        window.write(frame((10, 200, 10), number, size))
        assert window.pump()
    assert set(Path("/dev/shm").glob("stream-window-*")) == before


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((64, 48), (0, 48, 0, 64)),
        ((128, 48), (0, 48, 32, 96)),
        ((64, 96), (24, 72, 0, 64)),
        ((32, 48), (12, 36, 0, 32)),
        ((1, 48), (23, 24, 0, 1)),
    ],
)
def test_margins_are_black_and_the_shape_stays(size, box):
    picture = np.full((48, 64, 3), 200, np.uint8)
    made = letterboxed(picture, size)
    assert made.shape == (size[1], size[0], 3)
    inner = np.zeros_like(made)
    top, bottom, left, right = box
    inner[top:bottom, left:right] = 200
    assert (made == inner).all()
    assert letterboxed(picture, (0, 0)).shape == picture.shape


def test_samples_that_are_not_square_are_shown_in_their_shape(monkeypatch):
    shown = []
    monkeypatch.setattr(WindowSink, "show", lambda self, pixels: shown.append(pixels.shape))
    for shape in (Fraction(1), Fraction(16, 11), Fraction(8, 9)):
        about = replace(info(), width=720, height=576, sample_aspect_ratio=shape)
        window = WindowSink.from_target("window", about, OutputOptions())
        window.write(Frame(av.VideoFrame(720, 576, "yuv420p"), 0, 0, Fraction(1, 25)))
    assert shown == [(576, 720, 3), (576, 1047, 3), (576, 640, 3)]


def test_a_snapshot_is_of_what_is_in_the_window(monkeypatch):
    monkeypatch.setattr(WindowSink, "show", lambda self, pixels: None)
    about = replace(info(), width=720, height=576, sample_aspect_ratio=Fraction(16, 11))
    window = WindowSink.from_target("window", about, OutputOptions())
    assert window.picture() is None
    for index, luma in enumerate((60, 120, 200)):
        picture = av.VideoFrame(720, 576, "gray")
        picture.planes[0].update(bytes([luma]) * picture.planes[0].buffer_size)
        window.paused = index == 2
        window.write(Frame(picture, index, index, Fraction(1, 25)))
    snapshot = window.picture()
    assert snapshot.shape == (576, 1047, 3) and np.ptp(snapshot) == 0
    assert 110 < snapshot[0, 0, 0] < 130, "the window is paused: that before it is on the screen"


@pytest.mark.parametrize("size", [(480, 640), (1080, 1920), (60, 80)])
def test_lines_stay_in_the_picture(size):
    picture = np.full((*size, 3), 200, np.uint8)
    write_lines(picture, HELP, bottom=False)
    write_lines(picture, ["a", "b" * 200], bottom=True)
    assert picture.shape == (*size, 3) and picture.min() < 60
    untouched = np.full((*size, 3), 200, np.uint8)
    write_lines(untouched, [], bottom=True)
    assert (untouched == 200).all()


def test_arrows_and_their_like_are_no_letters():
    """X11's last bytes of ←, ↑, → and ↓ are those of Q, R, S and T."""
    pressed = {ord("q"): "q", ord("R"): "R", 27: "esc", 32: "space", ord("="): "+", 0xFF1B: "esc"}
    keypad = {0xFFAB: "+", 0xFFAD: "-", 0xFFB7: "7", 0x100000 | ord("f"): "f"}
    for code, key in (pressed | keypad).items():
        assert key_of(code) == key, hex(code)
    x11 = (0xFF51, 0xFF52, 0xFF53, 0xFF54, 0xFF50, 0xFF57, 0xFFBE, 0xFFE1, 0xFFFF)
    for code in (-1, *x11, 0x250000, 0x700000, 0x2E0000, 0xF700, 0xF702, 0xF728):
        assert key_of(code) is None, hex(code)


def test_on_windows_files_that_grew_too_small_go_when_the_window_closes(monkeypatch, tmp_path):
    """What two processes have mapped cannot be removed there before."""

    class Ended:
        stdin, stdout = io.StringIO(), io.StringIO()

        def wait(self, seconds: float) -> int:
            return 0

    monkeypatch.setattr(module, "SYSTEM", "win32")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(module.os, "access", lambda *asked: False)  # no /dev/shm
    sink = WindowSink("grown")
    for size in (100, 50, 10_000):
        if (new := sink._make_room(size)) is not None:
            sink._forget(new)
    assert len(list(tmp_path.iterdir())) == 2
    sink._process = Ended()
    sink.close()
    assert list(tmp_path.iterdir()) == []
