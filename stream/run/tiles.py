"""One window that several sources share, each in a tile of its own."""

from __future__ import annotations

import math
import textwrap
import threading
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Self

import numpy as np
from numpy.typing import NDArray

from stream.errors import UsageError
from stream.frame import Frame, Item, VideoInfo
from stream.settings.options import OutputOptions
from stream.sinks._window_process import letterboxed, write_lines
from stream.sinks.base import Gone
from stream.sinks.display import Display
from stream.sinks.window import HELP, WindowSink, pixels_of

KEYS = (*HELP[:2], "1..9, click\tone source, and back to all", *HELP[2:])

_MOST = (1600, 900)
"""Pixels of the whole picture: more than most screens show of it would be time for nothing."""

_USUAL = (640, 480)
"""A tile's size before anything is known of what comes."""

_GAP = 0.02
"""Seconds between two pictures at least: sources are not in step, and one picture has them all."""

_PATIENCE = 1.0
_MESSAGE_SECONDS = 3.0
_WIDEST = 44
"""Letters in a line of a tile."""

Place = tuple[int, int, int, int]
"""Left, top, width and height in pixels."""


def places(count: int, tile: tuple[int, int]) -> list[Place]:
    """Where tiles are in the whole picture, row by row.

    Args:
        count: how many there are.
        tile: width and height that one would like to have; smaller where the whole is too large.
    """
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    scale = min(1.0, _MOST[0] / (columns * tile[0]), _MOST[1] / (rows * tile[1]))
    width, height = (max(2, round(side * scale)) for side in tile)
    return [(i % columns * width, i // columns * height, width, height) for i in range(count)]


class Tile(Display):
    """A source's part of the window; its frames come from the source's own thread.

    Args:
        name: of the source.
        changed: shared by all tiles of a window, told of each change.
    """

    def __init__(self, name: str, changed: threading.Condition) -> None:
        self.name = name
        self.size: tuple[int, int] | None = None
        self.shape = Fraction(1)
        """Width over height of one sample of its pictures."""
        self.picture: NDArray[np.uint8] | None = None
        self.fresh = False
        """Whether there is a picture that was not shown yet."""
        self.ended = False
        self.lines: tuple[str, ...] = ("opening",)
        self.paused = self.gone = False
        self._changed = changed

    @classmethod
    def accepts(cls, target: str) -> bool:
        """It is part of a window, and no target of its own."""
        return False

    @classmethod
    def from_target(cls, target: str, info: VideoInfo, options: OutputOptions) -> Self:
        """Not possible: a window makes its tiles.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{target} cannot be written: a tile is part of a window")

    def write(self, item: Item) -> None:
        """Hands a frame to the window; it is on the screen when this returns.

        Raises:
            Gone: the window was closed.
        """
        if not isinstance(item, Frame):
            return
        if not self.paused and not self.gone:
            pixels = pixels_of(item, self.shape)
            with self._changed:
                if self.picture is None:
                    self.lines = ()
                self.picture, self.fresh = pixels, True
                self.size = (pixels.shape[1], pixels.shape[0])
                self._changed.notify_all()
                self._changed.wait_for(lambda: not self.fresh or self.gone, _PATIENCE)
        if self.gone:
            raise Gone

    def notice(self, lines: Sequence[str]) -> None:
        """Shows lines of text in its tile until others are given."""
        with self._changed:
            if not self.ended and self.picture is not None and self.lines != tuple(lines):
                self.lines = tuple(lines)
                self._changed.notify_all()

    def awaited(self, why: str) -> None:
        """Says in its tile that its source is not there yet, and why."""
        with self._changed:
            self.lines = (why, "waiting for it")
            self._changed.notify_all()

    def opens(self, why: str) -> None:
        """Says in its tile what its source waits for while it is being opened."""
        with self._changed:
            if self.picture is None and not self.ended:
                self.lines = (why,)
                self._changed.notify_all()

    def close(self) -> None:
        """No more pictures come."""
        self.end("ended")

    def abort(self) -> None:
        """No more pictures come."""
        self.end("ended")

    def end(self, reason: str) -> None:
        """Says in its tile that nothing more comes, and why."""
        with self._changed:
            self.ended, self.lines = True, (reason,)
            self._changed.notify_all()

    def paint(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """The tile in (width, height): its picture between black margins, its name and notices."""
        if self.picture is None:
            canvas = np.zeros((size[1], size[0], 3), np.uint8)
        else:
            canvas = letterboxed(self.picture, size)
        if self.ended:
            canvas //= 3
        wrapped = [part for line in self.lines for part in textwrap.wrap(line, _WIDEST)]
        write_lines(canvas, [*wrapped, self.name], bottom=True, right=True)
        return canvas


class Tiles:
    """The window with all tiles; everything but the tiles themselves is of the main thread.

    Args:
        names: of the sources, all different.
        window: shows them; None opens one.
        now: seconds on a clock that only goes forward.
    """

    def __init__(
        self,
        names: Sequence[str],
        window: WindowSink | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.window = (
            WindowSink(f"stream: {', '.join(names)}", keys=KEYS) if window is None else window
        )
        self.window.connect_clicks(self._click)
        self.changed = threading.Condition()
        self.tiles = [Tile(name, self.changed) for name in names]
        self.large: int | None = None
        """The tile that fills the window, if one does."""
        self.canvas: NDArray[np.uint8] | None = None
        """What was shown last, uint8 [H, W, 3] in BGR."""
        self._now = now
        self._shown_at = float("-inf")
        self._shown: list[object] = []
        self._said_until: float | None = None

    def step(self, timeout: float = 0.03) -> bool:
        """Shows what came within `timeout` seconds, and hears keys and clicks.

        Returns:
            False once the window was closed by its user.

        Raises:
            SinkError: the window or its display is gone.
        """
        with self.changed:
            self.changed.wait_for(self._is_due, timeout)
        early = self._shown_at + _GAP - self._now()
        if early > 0:
            time.sleep(early)
        with self.changed:
            fresh = [tile for tile in self.tiles if tile.fresh]
            due = self._is_due()
            state = self._state()
            if due:
                self.canvas = self._paint(fresh, all_of_them=state != self._shown)
        if due and self.canvas is not None:
            self._shown, self._shown_at = state, self._now()
            self.window.show(self.canvas)
        with self.changed:
            for tile in fresh:
                tile.fresh = False
            self.changed.notify_all()
        if self._said_until is not None and self._now() >= self._said_until:
            self._said_until = None
            self.window.notice(())
        return self.window.pump()

    def _is_due(self) -> bool:
        return any(tile.fresh for tile in self.tiles) or self._state() != self._shown

    def _state(self) -> list[object]:
        """What decides, besides pictures, how all looks."""
        return [self.large, *((tile.lines, tile.ended, tile.size) for tile in self.tiles)]

    def _places(self) -> list[Place]:
        sizes = [tile.size for tile in self.tiles if tile.size is not None] or [_USUAL]
        return places(len(self.tiles), (max(w for w, _ in sizes), max(h for _, h in sizes)))

    def _paint(self, fresh: Sequence[Tile], *, all_of_them: bool) -> NDArray[np.uint8]:
        where = self._places()
        width = max(left + wide for left, _, wide, _ in where)
        height = max(top + high for _, top, _, high in where)
        if self.large is not None:
            tile = self.tiles[self.large]
            if tile not in fresh and not all_of_them and self.canvas is not None:
                return self.canvas
            return tile.paint((width, height))
        canvas = self.canvas
        if canvas is None or all_of_them or canvas.shape[:2] != (height, width):
            canvas = np.zeros((height, width, 3), np.uint8)
            fresh = self.tiles
        for tile, (left, top, wide, high) in zip(self.tiles, where, strict=True):
            if tile in fresh:
                canvas[top : top + high, left : left + wide] = tile.paint((wide, high))
        return canvas

    def say(self, text: str) -> None:
        """Shows a line to who watches, for a moment."""
        self._said_until = self._now() + _MESSAGE_SECONDS
        self.window.notice([text])

    def pause(self) -> None:
        """The picture stands still, or goes on; frames are taken all the same."""
        self.window.paused = not self.window.paused
        with self.changed:
            for tile in self.tiles:
                tile.paused = self.window.paused
        self.window.notice(())

    def enlarge(self, number: int) -> None:
        """Shows one source alone, or all again where it is the one."""
        if number < len(self.tiles):
            self.large = None if self.large == number else number

    def _click(self, across: float, down: float) -> None:
        if self.large is not None:
            self.large = None
            return
        where = self._places()
        x = across * max(left + wide for left, _, wide, _ in where)
        y = down * max(top + high for _, top, _, high in where)
        for number, (left, top, wide, high) in enumerate(where):
            if left <= x < left + wide and top <= y < top + high:
                self.enlarge(number)

    def leave(self) -> None:
        """There is no window any more; sources that go nowhere else end."""
        with self.changed:
            for tile in self.tiles:
                tile.gone = True
            self.changed.notify_all()

    def close(self) -> None:
        """Closes the window."""
        self.leave()
        self.window.close()
