"""What the keys of a live display do."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.errors import StreamError
from stream.run.controls import Controls

if TYPE_CHECKING:
    from stream.sinks.window import WindowSink

logger = logging.getLogger(__name__)


def free_name(folder: Path, name: str, ending: str) -> Path:
    """A path that names a moment and that nothing has yet."""
    stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    path = folder / f"{stem}{ending}"
    number = 2
    while path.exists():
        path = folder / f"{stem}-{number}{ending}"
        number += 1
    return path


def save_picture(path: Path, picture: NDArray[np.uint8]) -> str:
    """Writes a picture, uint8 [H, W, 3] in BGR, as PNG; returns what is to be said.

    OpenCV's own writing takes names on Windows for letters of a code page.
    """
    try:
        path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    except OSError as error:
        return f"cannot write {path}: {error.strerror or error}"
    return f"saved {path.name}"


Actions = Mapping[str, Callable[[], str | None]]
"""What each key does; it returns what is to be said."""


def press(key: str, actions: Actions, say: Callable[[str], None]) -> None:
    """Does what a key stands for; one that stands for nothing is ignored.

    Args:
        key: a letter, a sign, or a word such as `esc`.
        actions: what there is.
        say: says on the picture what was done.
    """
    action = actions.get(key if len(key) > 1 else key.lower())
    if action is None:
        return
    try:
        said = action()
    except StreamError as error:
        # A key that could not do its work must not end what runs.
        logger.warning("%s", error)
        said = str(error)
    if said:
        say(said)


class Keys:
    """Does what a key asks for, and says on the picture what it did.

    Args:
        controls: what can be changed while the run goes on.
        window: where the keys come from.
        folder: where snapshots and recordings go that have no name.
        name: what their names begin with.
    """

    def __init__(
        self,
        controls: Controls,
        window: WindowSink,
        *,
        folder: Path,
        name: str = "stream",
    ) -> None:
        self._controls = controls
        self._window = window
        self._folder = folder
        self._name = name
        self._actions: Actions = {
            "q": self._quit,
            "esc": self._quit,
            "space": self._pause,
            "m": controls.next_look,
            "t": controls.toggle_timing,
            "l": controls.toggle_labels,
            "x": controls.toggle_mirror,
            "s": self._snapshot,
            "r": self._record,
            "+": lambda: controls.move_threshold(1),
            "-": lambda: controls.move_threshold(-1),
            "f": self._full_screen,
            "?": self._help,
        }

    def press(self, key: str) -> None:
        """Does what the key stands for; one that stands for nothing is ignored."""
        press(key, self._actions, self._controls.say)

    def _quit(self) -> None:
        self._controls.stop()

    def _pause(self) -> None:
        self._window.paused = not self._window.paused
        self._window.notice(())

    def _help(self) -> None:
        self._window.toggle_help()

    def _full_screen(self) -> None:
        self._window.toggle_full_screen()

    def _free_name(self, ending: str) -> Path:
        return free_name(self._folder, self._name, ending)

    def _snapshot(self) -> str:
        picture = self._window.picture()
        if picture is None:
            return "there is no picture yet"
        return save_picture(self._free_name(".png"), picture)

    def _record(self) -> str:
        if self._controls.recording is not None:
            return self._controls.stop_recording()
        return self._controls.start_recording(self._free_name(".mkv"))
