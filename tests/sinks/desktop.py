"""A desktop without a screen: Xvfb, a window manager, and hands on keyboard and mouse."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

SIZE = (1280, 800)
_GRAB = """
import sys
import av
for _ in sys.stdin.buffer:
    with av.open(sys.argv[1], format="x11grab", options={"video_size": sys.argv[2]}) as grab:
        sys.stdout.buffer.write(next(grab.decode(video=0)).to_ndarray(format="rgb24"))
    sys.stdout.buffer.flush()
"""


class Desktop:
    """A running X server."""

    def __init__(self, display: str, server: subprocess.Popen[bytes]) -> None:
        self.display = display
        self._server = server
        self.environment = {**os.environ, "DISPLAY": display, "XDG_RUNTIME_DIR": "/tmp"}
        # In a process of its own: OpenCV brings an X library too, and the two end a process. One
        # for all pictures, since loading PyAV takes longer than any of them.
        self._grabber = subprocess.Popen(
            [sys.executable, "-c", _GRAB, self.display, f"{SIZE[0]}x{SIZE[1]}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def do(self, *command: str) -> str:
        """Runs a program there; returns what it said."""
        done = subprocess.run(
            command, env=self.environment, check=False, capture_output=True, text=True, timeout=60
        )
        return done.stdout.strip()

    def window(self, title: str) -> str:
        """The number of the window whose title begins so, once it is there, focused."""
        # It looks again by itself; starting it for each look takes longer than the look. A window
        # that goes while it looks, as one that tries whether any opens does, ends it with nothing.
        found: list[str] = []
        for _ in range(20):
            told = ("search", "--sync", "--onlyvisible", "--name", f"^{title}")
            found = self.do("xdotool", *told).splitlines()
            if found:
                break
            time.sleep(0.1)
        number = found[-1]
        self.do("xdotool", "windowfocus", "--sync", number)
        return number

    def press(self, *keys: str) -> None:
        """Presses one key after the other; what the last one does is the caller's to wait for."""
        for number, key in enumerate(keys):
            if number:
                time.sleep(0.15)
            self.do("xdotool", "key", key)

    def close(self, title: str) -> None:
        """Closes a window as a click on its cross does."""
        self.do("wmctrl", "-F", "-c", title)

    def die(self) -> None:
        """The X server ends as if its machine had."""
        self._server.kill()
        self._server.wait()

    def screenshot(self) -> np.ndarray:
        """The whole screen, uint8 [H, W, 3] in RGB."""
        asked, sent = self._grabber.stdin, self._grabber.stdout
        assert asked is not None and sent is not None
        asked.write(b"\n")
        asked.flush()
        samples = sent.read(SIZE[0] * SIZE[1] * 3)
        return np.frombuffer(samples, np.uint8).reshape(SIZE[1], SIZE[0], 3)

    def end(self) -> None:
        """Ends what takes the screenshots."""
        self._grabber.kill()
        self._grabber.communicate()


@contextmanager
def desktop() -> Iterator[Desktop]:
    """Starts one; skips the test where a part is missing."""
    parts = {"Xvfb": "xvfb", "xdotool": "xdotool", "openbox": "openbox", "wmctrl": "wmctrl"}
    missing = [package for program, package in parts.items() if not shutil.which(program)]
    if missing:
        pytest.skip(f"no display can be made here: apt-get install {' '.join(missing)}")
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24",
         "-nolisten", "tcp"],
        pass_fds=[writing],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writing)
    with os.fdopen(reading) as numbers:
        number = numbers.readline().strip()
    here = Desktop(f":{number}", server)
    manager = subprocess.Popen(
        ["openbox"],
        env=here.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield here
    finally:
        here.end()
        for process in (manager, server):
            process.terminate()
            process.wait()
