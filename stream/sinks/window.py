"""A window on the desktop, by OpenCV."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.errors import SinkError
from stream.frame import Frame, Item, VideoInfo
from stream.options import OutputOptions
from stream.references import Referencer
from stream.sinks.display import Display

HELP = (
    "q, Esc\tquit",
    "space\tpause",
    "m\tnext look",
    "t\ttiming panel",
    "l\tlabels",
    "s\tsave a snapshot",
    "r\tstart or stop recording",
    "+, -\tthreshold",
    "f\tfull screen",
    "?\tthis help",
)

SYSTEM: str = sys.platform

WINDOW = "window"
"""The target that stands for a window."""

_INSTEAD = "leave the window out with --no-display and record with -o FILE"
# Qt would complain about fonts, which no window of ours uses.
os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")

_PROBE = "import cv2; cv2.namedWindow('stream'); cv2.waitKey(1); cv2.destroyAllWindows()"
_PROBE_SECONDS = 20.0
_NAMED_KEYS = {27: "esc", 32: "space", ord("="): "+", ord("_"): "-", ord("/"): "?"}


def why_no_window() -> str | None:
    """Why no window can be opened here, a sentence with what to do; None where one can.

    OpenCV ends the whole process where there is no display, which cannot be caught; so a process
    of its own tries first.
    """
    if SYSTEM == "linux" and not opencv_came_first():
        return (
            "PyAV was loaded before OpenCV, whose windows then hang (both bring a libxcb); import "
            "cv2 before av"
        )
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
    return f"no window can be opened on display {os.environ.get('DISPLAY', '')!r}; {_INSTEAD}"


def opencv_came_first() -> bool:
    """Whether this process loaded OpenCV before PyAV, if it loaded that.

    On Linux the wheels of both bring a libxcb of their own. Where PyAV's is loaded first, OpenCV's
    Qt binds to it and never returns from opening a window (PyAV's issues 978 and 1050, OpenCV's
    issue 29195).
    """
    loaded = list(sys.modules)
    return "av" not in loaded or ("cv2" in loaded and loaded.index("cv2") < loaded.index("av"))


class WindowSink(Display):
    """Shows pictures in a window and hears its keys.

    The window lives in the main thread, as desktops demand: `write`, `pump` and `close` are called
    there, the others from any.

    Args:
        title: of the window.
    """

    priority: ClassVar[int] = 10
    on_main_thread: ClassVar[bool] = True

    def __init__(self, title: str) -> None:
        self._title = title
        self._on_key: Callable[[str], None] = lambda key: None
        self._lock = threading.Lock()
        self._notice: tuple[str, ...] = ()
        self._redraw = False
        self._last: NDArray[np.uint8] | None = None
        self._key = -1
        self._reference = Referencer()
        self._open = False
        self._full_screen = False
        self._help = False
        self._size: tuple[int, int] | None = None
        self.last_frame: Frame | None = None
        """What was given last, as it was painted."""
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
        return cls(f"stream: {info.name}")

    def connect(self, on_key: Callable[[str], None]) -> None:
        """Says who is told of each key: a character, or "esc" or "space"; called by `pump`."""
        self._on_key = on_key

    def write(self, item: Item) -> None:
        """Shows a frame; it is on the screen when this returns."""
        if not isinstance(item, Frame):
            return
        self.last_frame = item
        if self.paused:
            return
        # Converting writes colour tags on what it converts, which a recording may hold too.
        own = self._reference(item.image)
        self._last = np.asarray(own.to_ndarray(format="bgr24"), np.uint8)
        if item.alpha is not None:
            self._last = on_chequers(self._last, item.alpha)
        self._draw()
        self._key = cv2.waitKeyEx(1)

    def notice(self, lines: Sequence[str]) -> None:
        """Shows lines of text at the bottom until others are given."""
        with self._lock:
            if tuple(lines) != self._notice:
                self._notice = tuple(lines)
                self._redraw = True

    def toggle_help(self) -> None:
        """Shows or hides the keys' meanings."""
        self._help = not self._help
        self._redraw = True

    def toggle_full_screen(self) -> None:
        """Fills the screen, or goes back; main thread."""
        self._full_screen = not self._full_screen
        value = cv2.WINDOW_FULLSCREEN if self._full_screen else cv2.WINDOW_NORMAL
        cv2.setWindowProperty(self._title, cv2.WND_PROP_FULLSCREEN, value)

    def pump(self) -> bool:
        """Hears the keys, and draws what changed; main thread.

        Returns:
            False once the window was closed by the user.
        """
        if self._redraw:
            self._draw()
        if not self._open:
            return True
        key, self._key = self._key, -1
        if key == -1:
            key = cv2.waitKeyEx(1)
        if self._was_closed():
            self._open = False
            return False
        if key != -1:
            self._on_key(_NAMED_KEYS.get(key & 0xFF, chr(key & 0xFF)))
        return True

    def _draw(self) -> None:
        self._redraw = False
        if self._last is None:
            return
        height, width = self._last.shape[:2]
        if not self._open:
            cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_GUI_NORMAL)
            self._open = True
        if self._size != (width, height) and not self._full_screen:
            cv2.resizeWindow(self._title, width, height)
        self._size = (width, height)
        with self._lock:
            lines = self._notice
        picture = self._last
        if lines or self._help or self.paused:
            picture = picture.copy()
            if self.paused:
                lines = (*lines, "paused")
            write_lines(picture, lines, bottom=True)
            if self._help:
                write_lines(picture, HELP, bottom=False)
        cv2.imshow(self._title, picture)

    def _was_closed(self) -> bool:
        try:
            return bool(cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1)
        except cv2.error:
            return True

    def close(self) -> None:
        """Closes the window; main thread."""
        if not self._open:
            return
        self._open = False
        try:
            cv2.destroyWindow(self._title)
            # The desktop takes the window away only when it is given the time to.
            for _ in range(3):
                cv2.waitKey(1)
                time.sleep(0.005)
        except cv2.error as error:
            raise SinkError(f"the window could not be closed: {error}") from error


def on_chequers(bgr: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture on grey chequers, as it is usual for what is transparent.

    Args:
        bgr: uint8 [H, W, 3].
        alpha: uint8 [H, W], 0 to 255.
    """
    height, width = alpha.shape
    y, x = np.ogrid[:height, :width]
    behind = np.where((y // 16 + x // 16) % 2, np.uint8(96), np.uint8(144)).astype(np.uint8)
    share = cv2.merge([alpha] * 3)
    kept = cv2.multiply(bgr, share, scale=1 / 255)
    rest = cv2.multiply(cv2.merge([behind] * 3), cv2.bitwise_not(share), scale=1 / 255)
    return np.asarray(cv2.add(kept, rest), np.uint8)


def write_lines(picture: NDArray[np.uint8], lines: Sequence[str], *, bottom: bool) -> None:
    """Writes lines of text on a dark plate into a BGR picture, uint8 [H, W, 3], in place.

    The plate is at the bottom left, or in the middle. What follows a tab stands in a second column.
    """
    if not lines:
        return
    height, width = picture.shape[:2]
    scale = max(0.35, min(height, width) / 900)
    font = cv2.FONT_HERSHEY_SIMPLEX
    thick = max(1, round(1.5 * scale))

    def wide(text: str) -> int:
        return int(cv2.getTextSize(text, font, scale, thick)[0][0])

    rows = [line.partition("\t") for line in lines]
    step = round(45 * scale)
    second = max((wide(left) for left, tab, _ in rows if tab), default=0) + step
    inner = max(second + wide(right) if tab else wide(left) for left, tab, right in rows)
    size = (inner + step, step * len(lines) + step // 2)
    left = 0 if bottom else max(0, (width - size[0]) // 2)
    top = max(0, height - size[1]) if bottom else max(0, (height - size[1]) // 2)
    plate = picture[top : top + size[1], left : left + size[0]]
    plate[...] = plate // 4
    for number, (first, _, meaning) in enumerate(rows):
        for text, column in ((first, 0), (meaning, second)):
            place = (left + step // 2 + column, top + step * (number + 1))
            cv2.putText(picture, text, place, font, scale, (255, 255, 255), thick, cv2.LINE_AA)
