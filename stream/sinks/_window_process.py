"""The process in which a window lives, so that its end is never the program's.

OpenCV's Qt ends the whole process where the X server goes away, and hangs where PyAV was loaded
first (the wheels of both bring a libxcb; PyAV's issues 978 and 1050, OpenCV's issue 29195). So this
file runs on its own and imports nothing of the package. Pictures come through a file that both have
mapped, the rest as lines of JSON: orders on standard input, events on standard output.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

_STEP = 0.015
"""Seconds between two looks at the keyboard."""
_ROOM = 0.9
"""How much of a screen's width and height a window may take."""
_NAMED_KEYS = {27: "esc", 32: "space", ord("="): "+", ord("_"): "-", ord("/"): "?"}

_KEYPAD = range(0xFFAA, 0xFFBA)
"""X11's keypad, from * to 9."""
_X11_ESCAPE = 0xFF1B


def key_of(code: int) -> str | None:
    """What OpenCV's number of a key stands for: a character, "esc" or "space".

    None where no key was pressed, or one without a character, such as an arrow: X11 and macOS have
    numbers beyond characters for these, some with a letter's in their last byte, and Windows has
    them in the upper half alone. There X11 has what is held down besides.
    """
    plain = code & 0xFFFF
    if plain in _KEYPAD:
        plain -= _KEYPAD.start - ord("*")
    elif plain == _X11_ESCAPE:
        plain = 27
    if code < 0 or not 0 < plain < 0x100:
        return None
    return _NAMED_KEYS.get(plain, chr(plain))


def letterboxed(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture as large as fits into (width, height), in its shape, between black margins.

    Args:
        picture: uint8 [H, W, 3].
        size: of the result; below one pixel it is the picture's own.
    """
    width, height = size
    if width < 1 or height < 1 or picture.shape[1::-1] == size:
        return picture.copy()
    scale = min(width / picture.shape[1], height / picture.shape[0])
    inner = (
        max(1, min(width, round(picture.shape[1] * scale))),
        max(1, min(height, round(picture.shape[0] * scale))),
    )
    filled = np.zeros((height, width, 3), np.uint8)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    filled[top : top + inner[1], left : left + inner[0]] = cv2.resize(
        picture, inner, interpolation=how
    )
    return filled


def write_lines(
    picture: NDArray[np.uint8], lines: Sequence[str], *, bottom: bool, right: bool = False
) -> None:
    """Writes lines of text on a dark plate into a BGR picture, uint8 [H, W, 3], in place.

    The plate is at the bottom, left or right, or in the middle. What follows a tab stands in a
    second column.
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
    left = max(0, (width - size[0]) // 2)
    if bottom:
        left = max(0, width - size[0]) if right else 0
    top = max(0, height - size[1]) if bottom else max(0, (height - size[1]) // 2)
    plate = picture[top : top + size[1], left : left + size[0]]
    plate[...] = plate // 4
    for number, (first, _, meaning) in enumerate(rows):
        for text, column in ((first, 0), (meaning, second)):
            place = (left + step // 2 + column, top + step * (number + 1))
            cv2.putText(picture, text, place, font, scale, (255, 255, 255), thick, cv2.LINE_AA)


class _Monitor(ctypes.Structure):
    """`XineramaScreenInfo` of libXinerama."""

    _fields_: ClassVar = [("number", ctypes.c_int)] + [
        (name, ctypes.c_short) for name in ("left", "top", "width", "height")
    ]


def screen_of_x11() -> tuple[int, int] | None:
    """Width and height of the smallest monitor of the X server; None where there is no telling."""
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        return None
    x11.XOpenDisplay.restype = ctypes.c_void_p
    display = ctypes.c_void_p(x11.XOpenDisplay(None))
    if not display:
        return None
    try:
        monitors = _monitors(x11, display)
        whole = (x11.XDisplayWidth(display, 0), x11.XDisplayHeight(display, 0))
    finally:
        x11.XCloseDisplay(display)
    return min(monitors, key=lambda size: size[0] * size[1], default=whole)


def _monitors(x11: ctypes.CDLL, display: ctypes.c_void_p) -> list[tuple[int, int]]:
    """Width and height of each monitor, where one X screen has several side by side."""
    try:
        library = ctypes.CDLL("libXinerama.so.1")
    except OSError:
        return []
    library.XineramaQueryScreens.restype = ctypes.POINTER(_Monitor)
    count = ctypes.c_int(0)
    found = library.XineramaQueryScreens(display, ctypes.byref(count))
    sizes = [(found[place].width, found[place].height) for place in range(count.value)]
    if found:
        x11.XFree(found)
    return sizes


class _Saver:
    """X11's screen saver, kept away from a window that fills the screen."""

    def __init__(self) -> None:
        self._x11: ctypes.CDLL | None = None
        self._library: ctypes.CDLL | None = None
        self._display = ctypes.c_void_p()

    def keep_away(self, away: bool) -> None:
        """Turns it and the monitor's saving of power off, or on as they were.

        The server does so for as long as whoever asked is connected. Where a library of X11's is
        not here, nothing happens, and desktops with a saver of their own do not ask X11's.
        """
        if self._x11 is None or self._library is None:
            try:
                self._x11 = ctypes.CDLL("libX11.so.6")
                self._library = ctypes.CDLL("libXss.so.1")
            except OSError:
                return
            self._x11.XOpenDisplay.restype = ctypes.c_void_p
            self._display = ctypes.c_void_p(self._x11.XOpenDisplay(None))
        if self._display:
            self._library.XScreenSaverSuspend(self._display, away)
            self._x11.XFlush(self._display)


def fitting(size: tuple[int, int], screen: tuple[int, int] | None) -> tuple[int, int]:
    """Width and height of a picture, or of a smaller one of its shape that a screen has room for.

    Desktops need some of the screen for the window's frame and for their own.
    """
    if screen is None or min(screen) < 1:
        return size
    scale = min(1.0, *(_ROOM * most / one for one, most in zip(size, screen, strict=True)))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


class _Window:
    """The window, with what it shows now."""

    def __init__(self, title: str, events: Any, screen: tuple[int, int] | None) -> None:
        self._title = title
        self._events = events
        self._screen = screen
        self._memory: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._shape: tuple[int, int] | None = None
        self._wanted: dict[str, Any] = {}
        self._size = (0, 0)
        self._full = False
        self._saver = _Saver()

    def tell(self, **event: Any) -> None:
        """Sends an event."""
        self._events.write(json.dumps(event) + "\n")
        self._events.flush()

    def obey(self, order: dict[str, Any]) -> bool:
        """Shows a picture, or the same one with other lines; returns False if it was closed."""
        if "memory" in order:
            self._memory = np.memmap(order["memory"], np.uint8, "r+")
        self._wanted = order
        height, width = order["size"]
        first = self._shape is None
        if first:
            flags = cv2.WINDOW_NORMAL | cv2.WINDOW_GUI_NORMAL | cv2.WINDOW_FREERATIO
            cv2.namedWindow(self._title, flags)
            cv2.setMouseCallback(self._title, self._on_mouse)
        elif not self._is_open():
            return False
        if order["full"] != self._full:
            self._full = order["full"]
            value = cv2.WINDOW_FULLSCREEN if self._full else cv2.WINDOW_NORMAL
            cv2.setWindowProperty(self._title, cv2.WND_PROP_FULLSCREEN, value)
            if sys.platform == "linux":
                self._saver.keep_away(self._full)
        if self._shape != (height, width) and not self._full:
            cv2.resizeWindow(self._title, *fitting((width, height), self._screen))
        self._shape = (height, width)
        if first:
            cv2.waitKey(1)
        self._draw()
        if not self.listen():
            return False
        self.tell(shown=order["number"])
        return True

    def _is_open(self) -> bool:
        try:
            return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:
            return False

    def _draw(self) -> None:
        if self._shape is None:
            return
        height, width = self._shape
        picture = self._memory[: height * width * 3].reshape(height, width, 3)
        self._size = self._view()
        canvas = letterboxed(picture, self._size)
        write_lines(canvas, self._wanted["lines"], bottom=True)
        write_lines(canvas, self._wanted["help"], bottom=False)
        cv2.imshow(self._title, canvas)

    def _on_mouse(self, event: int, x: int, y: int, flags: int, data: object) -> None:
        """Tells of a click where in the picture it was, as parts of its width and height."""
        if event != cv2.EVENT_LBUTTONDOWN or self._shape is None or min(self._size) < 1:
            return
        height, width = self._shape
        scale = min(self._size[0] / width, self._size[1] / height)
        across = (x - self._size[0] / 2) / (width * scale) + 0.5
        down = (y - self._size[1] / 2) / (height * scale) + 0.5
        if 0 <= across < 1 and 0 <= down < 1:
            self.tell(click=(across, down))

    def _view(self) -> tuple[int, int]:
        """Width and height of what is inside the window's frame."""
        _, _, width, height = cv2.getWindowImageRect(self._title)
        return int(width), int(height)

    def listen(self) -> bool:
        """Serves the desktop and hears the keys; returns False once the window was closed."""
        if self._shape is None:
            return True
        key = cv2.waitKeyEx(1)
        if not self._is_open():
            return False
        if self._view() != self._size:
            self._draw()
        said = key_of(key)
        if said is not None:
            self.tell(key=said)
        return True


def _leave_events_to_qt() -> None:
    """Keeps Xlib from taking events that are Qt's; before Qt opens its display.

    OpenCV's wheels bring a libX11-xcb, yet use the system's libX11, in which the field that says
    who takes events has moved since 2020. So what Qt asks of it goes astray, and whatever arrives
    just as Xlib flushes is never seen: that the window has another size, that it is visible, a key.
    The system's own libX11-xcb, where it is installed, knows the place, and the linker prefers what
    was loaded for all.
    """
    with contextlib.suppress(OSError):
        ctypes.CDLL("libX11-xcb.so.1", mode=ctypes.RTLD_GLOBAL)


def _read(orders: queue.Queue[str]) -> None:
    for line in sys.stdin:
        orders.put(line)
    orders.put("")


def main() -> None:
    """Serves one window until standard input ends or its user closes it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which tells us
    # What libraries print must not stand among the events.
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    cv2.setNumThreads(1)
    screen = None
    if sys.platform == "linux":
        _leave_events_to_qt()
        screen = screen_of_x11()
    window = _Window(sys.argv[1], events, screen)
    orders: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(orders,), daemon=True).start()
    while True:
        try:
            line: str | None = orders.get(timeout=_STEP)
        except queue.Empty:
            line = None
        if line == "":
            break
        if not (window.listen() if line is None else window.obey(json.loads(line))):
            window.tell(closed=True)
            break
    # The desktop takes the window away only when it is given the time to.
    cv2.destroyAllWindows()
    cv2.waitKey(1)
    # The reading thread waits for input that may never come.
    os._exit(0)


if __name__ == "__main__":
    main()
