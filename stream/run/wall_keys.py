"""What the keys of a window with several sources do: to all of them at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from stream.errors import StreamError
from stream.run.controls import NOTHING_RECORDED, Controls
from stream.run.keys import Actions, free_name, press, save_picture
from stream.run.tiles import Tiles
from stream.wording.words import counted

logger = logging.getLogger(__name__)


class WallKeys:
    """Does what a key asks for, and says on the picture what it did.

    Args:
        tiles: the window.
        parts: the sources that run now, each with its name and what can be changed of it.
        stop: ends all.
        folder: where snapshots and recordings go.
    """

    def __init__(
        self,
        tiles: Tiles,
        parts: Callable[[], Sequence[tuple[str, Controls]]],
        stop: Callable[[], None],
        *,
        folder: Path,
    ) -> None:
        self._tiles = tiles
        self._parts = parts
        self._folder = folder
        window = tiles.window
        self._actions: Actions = {
            "q": stop,
            "esc": stop,
            "space": tiles.pause,
            "m": lambda: self._each(Controls.next_look),
            "t": lambda: self._each(Controls.toggle_timing),
            "l": lambda: self._each(Controls.toggle_labels),
            "x": lambda: self._each(Controls.toggle_mirror),
            "s": self._snapshot,
            "r": self._record,
            "+": lambda: self._each(lambda one: one.move_threshold(1)),
            "-": lambda: self._each(lambda one: one.move_threshold(-1)),
            "f": window.toggle_full_screen,
            "?": window.toggle_help,
        }

    def press(self, key: str) -> None:
        """Does what the key stands for; one that stands for nothing is ignored."""
        if key in "123456789":
            self._tiles.enlarge(int(key) - 1)
            return
        press(key, self._actions, self._tiles.say)

    def _each(self, change: Callable[[Controls], str]) -> str:
        said = [change(controls) for _, controls in self._parts()]
        return said[0] if said else "no source runs"

    def _snapshot(self) -> str:
        if self._tiles.canvas is None:
            return "there is no picture yet"
        return save_picture(free_name(self._folder, "stream", ".png"), self._tiles.canvas)

    def _record(self) -> str:
        parts = self._parts()
        ended = [(name, controls.end_recording()) for name, controls in parts]
        recordings = [(name, one) for name, one in ended if one is not None]
        if recordings:
            empty = [name for name, one in recordings if not one.reached]
            if len(empty) == len(recordings):
                return NOTHING_RECORDED
            recorded = f"recorded {_sources(len(recordings) - len(empty))}"
            return f"{recorded}, nothing of {', '.join(empty)}" if empty else recorded
        if not parts:
            return "no source runs"
        begun, failed = 0, ""
        for name, controls in parts:
            try:
                controls.start_recording(free_name(self._folder, f"stream-{name}", ".mkv"))
                begun += 1
            except StreamError as error:
                # One that cannot be recorded keeps none of the others from it.
                logger.warning("%s", error)
                failed = str(error)
        said = [f"recording {_sources(begun)}"] if begun else []
        return "; ".join([*said, failed] if failed else said)


def _sources(count: int) -> str:
    return f"{counted(count, 'source')}"
