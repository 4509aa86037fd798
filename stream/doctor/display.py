"""Whether a window can be shown: by OpenCV, and on a screen."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from ctypes.util import find_library
from pathlib import Path

from stream.doctor.finding import Finding


def display() -> Iterator[Finding]:
    """What a window needs."""
    import cv2

    gui = opencv_gui(cv2.getBuildInformation())
    if gui:
        yield Finding("display", "OpenCV windows", "works", f"built with {gui}")
    else:
        advice = (
            "pip uninstall -y opencv-python-headless && pip install --force-reinstall "
            "--no-deps opencv-python"
        )
        yield Finding("display", "OpenCV windows", "missing", "built without windows", advice)
    if sys.platform == "linux":
        if gui.startswith("QT") and find_library("X11-xcb") is None:
            advice = "apt-get install libx11-xcb1"
            yield Finding("display", "libX11-xcb", "missing", "a window may stay black", advice)
        yield from _linux_screen()
    else:
        yield Finding("display", "screen", "note", "the system's own")


def _linux_screen() -> Iterator[Finding]:
    for name, address in _display_sockets():
        problem = _cannot_connect(address)
        if not problem:
            yield Finding("display", name, "works", f"{address} answers")
            return
        yield Finding("display", name, "missing", f"{address} does not answer ({problem})")
    host, colon, _ = os.environ.get("DISPLAY", "").partition(":")
    if host and colon:
        # As with ssh -X; connecting could take seconds.
        yield Finding("display", "X11", "note", f"{os.environ['DISPLAY']}, over the network")
        return
    advice = "write a file with -o, or log in with a screen (or ssh -X)"
    yield Finding("display", "screen", "missing", "neither Wayland nor X11 answers", advice)


def opencv_gui(build: str) -> str:
    """The window system named in OpenCV's build information; "" for none."""
    lines = iter(build.splitlines())
    for line in lines:
        if line.strip().startswith("GUI:"):
            kind = line.partition(":")[2].strip()
            if kind:
                return "" if kind == "NONE" else kind
            following = next(lines, "")
            return following.partition(":")[0].strip() if "YES" in following else ""
    return ""


def _display_sockets() -> Iterator[tuple[str, str]]:
    """Where a local Wayland or X11 server would answer: (name, path of its socket)."""
    wayland = os.environ.get("WAYLAND_DISPLAY")
    if wayland:
        runtime = os.environ.get("XDG_RUNTIME_DIR", "/run/user")
        yield "Wayland", str(Path(runtime) / wayland)
    host, colon, screen = os.environ.get("DISPLAY", "").partition(":")
    if colon and not host:
        yield "X11", f"/tmp/.X11-unix/X{screen.partition('.')[0]}"


def _cannot_connect(address: str) -> str:
    if sys.platform != "win32":  # whose Python knows no such sockets
        try:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(1)
                link.connect(address)
        except OSError as error:
            return error.strerror or str(error)
    return ""
