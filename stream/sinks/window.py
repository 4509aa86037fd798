"""A window on the desktop, by OpenCV, in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.errors import SinkError
from stream.frame import Frame, Item, VideoInfo
from stream.pictures.pixels import bgr_from_picture, shown_size
from stream.settings.options import OutputOptions
from stream.sinks import _window_process
from stream.sinks._chequers import on_chequers
from stream.sinks.display import Display
from stream.system.apart import apart
from stream.wording.names import WINDOW

HELP = (
    "q, Esc\tquit",
    "space\tpause",
    "m\tnext look",
    "t\ttiming panel",
    "l\tlabels",
    "x\tmirror",
    "s\tsave a snapshot",
    "r\tstart or stop recording",
    "+, -\tthreshold",
    "f\tfull screen",
    "?\tthis help",
)
HINT = "press ? for the keys"
_HINT_SECONDS = 3.0

SYSTEM: str = sys.platform

_INSTEAD = (
    "write a file with -o FILE; of what is live leave the window out with --no-display, or watch "
    "it in a browser with --display browser"
)
_GONE = "the display has gone away, and the window with it"
# Qt would complain about fonts, which no window of ours uses.
os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")

_PROBE = "import cv2; cv2.namedWindow('stream'); cv2.waitKey(1); cv2.destroyAllWindows()"
_PROBE_SECONDS = 20.0
_SQUARE = Fraction(1)
_PATIENCE = 30.0
"""Seconds after which a window that does not answer counts as gone; busy machines take a few."""


def why_no_window() -> str | None:
    """Why no window can be opened here, a sentence with what to do; None where one can."""
    if SYSTEM == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return f"there is no display here (DISPLAY is not set); {_INSTEAD}"
    try:
        tried = subprocess.run(
            [sys.executable, "-c", _PROBE],
            check=False,
            capture_output=True,
            timeout=_PROBE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"the display does not answer; {_INSTEAD}"
    if tried.returncode == 0:
        return None
    said = tried.stderr.decode(errors="replace")
    if "not implemented" in said:
        return f"this OpenCV was built without windows (opencv-python-headless?); {_INSTEAD}"
    where = f" on display {os.environ.get('DISPLAY', '')!r}" if SYSTEM == "linux" else ""
    return f"no window can be opened{where}; {_INSTEAD}"


def pixels_of(frame: Frame, shape: Fraction = _SQUARE) -> NDArray[np.uint8]:
    """A frame as it is shown: uint8 [H, W, 3] in BGR, on chequers where it is transparent.

    Args:
        frame: painted.
        shape: width over height of one sample; screens have square ones.
    """
    pixels = bgr_from_picture(frame.image)
    pixels = pixels if frame.alpha is None else on_chequers(pixels, frame.alpha)
    if shape == 1:
        return pixels
    size = shown_size(pixels.shape[1], pixels.shape[0], shape)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


class WindowSink(Display):
    """Shows pictures in a window and hears its keys.

    The window is another process's, so that a display that goes away, which ends whoever has a
    window there, takes this program's recordings along with nothing.

    `write`, `pump` and `close` are called in the main thread, the others from any.

    Args:
        title: of the window.
        now: tells the time, in seconds.
        keys: their meanings, for the help: a key, a tab, what it does.
    """

    priority: ClassVar[int] = 10
    on_main_thread: ClassVar[bool] = True

    def __init__(
        self,
        title: str,
        now: Callable[[], float] = time.monotonic,
        *,
        keys: Sequence[str] = HELP,
    ) -> None:
        self._title = title
        self._meanings = tuple(keys)
        self._now = now
        self._on_key: Callable[[str], None] = lambda key: None
        self._on_click: Callable[[float, float], None] = lambda across, down: None
        self._clicks: list[tuple[float, float]] = []
        self._lock = threading.Lock()
        self._notice: tuple[str, ...] = ()
        self._redraw = False
        self._shape = _SQUARE
        self._process: subprocess.Popen[str] | None = None
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reader: threading.Thread | None = None
        self._memory: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._files: list[Path] = []
        self._size: tuple[int, int] | None = None
        self._number = 0
        self._keys: list[str] = []
        self._closed = False
        self._full_screen = False
        self._help = False
        self._hint_until: float | None = None
        self._shown: Frame | None = None
        self.paused = False
        """While set, the picture stands still; frames are taken all the same."""

    @classmethod
    def accepts(cls, target: str) -> bool:
        """The word `window`."""
        return target == WINDOW

    @classmethod
    def check(cls, target: str, options: OutputOptions, inputs: Sequence[Path] = ()) -> None:
        """Refuses where no window can be opened, with what to do instead."""
        reason = why_no_window()
        if reason is not None:
            raise SinkError(reason)

    @classmethod
    def check_alpha(cls, target: str, options: OutputOptions) -> None:
        """What is transparent is shown as chequers."""

    @classmethod
    def from_target(cls, target: str, info: VideoInfo, options: OutputOptions) -> Self:
        """A window with the source's name."""
        made = cls(f"stream: {info.name}")
        made._shape = info.sample_aspect_ratio
        return made

    def connect(self, on_key: Callable[[str], None]) -> None:
        """Says who is told of each key: a character, or "esc" or "space"; called by `pump`."""
        self._on_key = on_key

    def connect_clicks(self, on_click: Callable[[float, float], None]) -> None:
        """Says who is told where in the picture a click was, each 0..1; called by `pump`."""
        self._on_click = on_click

    def write(self, item: Item) -> None:
        """Shows a frame; it is on the screen when this returns.

        Raises:
            SinkError: the window or its display is gone.
        """
        if not isinstance(item, Frame):
            return
        if self.paused or self._closed:
            return
        self._shown = item
        self.show(pixels_of(item, self._shape))

    def picture(self) -> NDArray[np.uint8] | None:
        """What is in the window, uint8 [H, W, 3] in BGR; None where there was nothing yet.

        It may be asked for from any thread.
        """
        frame = self._shown
        return None if frame is None else pixels_of(frame, self._shape)

    def show(self, pixels: NDArray[np.uint8]) -> None:
        """Shows a picture, uint8 [H, W, 3] in BGR; it is on the screen when this returns.

        Raises:
            SinkError: the window or its display is gone.
        """
        if self._closed:
            return
        new = self._make_room(pixels.size)
        np.copyto(self._memory[: pixels.size].reshape(pixels.shape), pixels)
        self._size = (pixels.shape[0], pixels.shape[1])
        self._show({"memory": str(new)} if new is not None else {})
        if self._hint_until is None:  # from when it can be read
            self._hint_until = self._now() + _HINT_SECONDS
        if new is not None:
            self._forget(new)

    def notice(self, lines: Sequence[str]) -> None:
        """Shows lines of text at the bottom until others are given."""
        with self._lock:
            if tuple(lines) != self._notice:
                self._notice = tuple(lines)
                self._redraw = True

    def toggle_help(self) -> None:
        """Shows or hides the keys' meanings."""
        self._help = not self._help
        self._hint_until = 0.0
        self._redraw = True

    def toggle_full_screen(self) -> None:
        """Fills the screen, or goes back."""
        self._full_screen = not self._full_screen
        self._redraw = True

    def pump(self) -> bool:
        """Hears the keys, and draws what changed; main thread.

        Returns:
            False once the window was closed by the user.

        Raises:
            SinkError: the window or its display is gone.
        """
        if self._process is None:
            return True
        if self._hint_until and self._now() >= self._hint_until:
            self._hint_until, self._redraw = 0.0, True
        if self._redraw and self._size is not None and not self._closed:
            self._show({})
        while not self._closed and not self._events.empty():
            self._take(self._events.get())
        keys, self._keys = self._keys, []
        for key in keys:
            self._on_key(key)
        clicks, self._clicks = self._clicks, []
        for across, down in clicks:
            self._on_click(across, down)
        return not self._closed

    def close(self) -> None:
        """Closes the window; main thread."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(OSError):  # it has ended already
            process.stdin.close()
        try:
            process.wait(_PATIENCE / 10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._reader is not None:
            self._reader.join()
        process.stdout.close()
        self._memory = np.zeros(0, np.uint8)
        for file in self._files:
            file.unlink(missing_ok=True)
        self._files.clear()

    def _lines(self) -> list[str]:
        with self._lock:
            lines = list(self._notice)
        if self._hint_until is None or self._hint_until > 0:
            lines.append(HINT)
        return [*lines, "paused"] if self.paused else lines

    def _show(self, order: dict[str, Any]) -> None:
        """Sends the picture as it is now, and waits until it is on the screen."""
        self._redraw = False
        self._number += 1
        order |= {
            "number": self._number,
            "size": self._size,
            "lines": self._lines(),
            "help": self._meanings if self._help else (),
            "full": self._full_screen,
        }
        process = self._process or self._start()
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # that it has ended is its last event
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
        shown = False
        while not shown and not self._closed:
            try:
                shown = self._take(self._events.get(timeout=_PATIENCE))
            except queue.Empty:
                raise SinkError("the window's display does not answer") from None

    def _take(self, event: dict[str, Any] | None) -> bool:
        """Takes an event in; returns whether the picture that was sent last is on the screen."""
        if event is None:
            raise SinkError(_GONE)
        if "key" in event:
            self._keys.append(event["key"])
        if "click" in event:
            across, down = event["click"]
            self._clicks.append((float(across), float(down)))
        self._closed = self._closed or "closed" in event
        return bool(event.get("shown") == self._number)

    def _start(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            [sys.executable, "-P", _window_process.__file__, self._title],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            **apart(),
        )
        self._reader = threading.Thread(
            target=self._listen, args=(self._process,), name="stream-window", daemon=True
        )
        self._reader.start()
        return self._process

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._events.put(json.loads(line))
        self._events.put(None)

    def _make_room(self, size: int) -> Path | None:
        """Maps memory that pictures of `size` bytes fit into; returns its file where it is new."""
        if len(self._memory) >= size:
            return None
        shared = Path("/dev/shm")  # in memory on Linux; elsewhere the system keeps files there too
        folder = str(shared) if os.access(shared, os.W_OK) else None
        handle, name = tempfile.mkstemp(prefix="stream-window-", dir=folder)
        os.truncate(handle, size)
        os.close(handle)
        self._files.append(Path(name))
        self._memory = np.memmap(name, np.uint8, "r+")
        return self._files[-1]

    def _forget(self, file: Path) -> None:
        """Both have the file mapped: without its name nothing is left behind after a crash."""
        if SYSTEM != "win32":  # where what is mapped stays until we close
            file.unlink(missing_ok=True)
            self._files.remove(file)
