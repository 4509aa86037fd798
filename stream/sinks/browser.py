"""A page in the browser: the newest picture, for a server to hand out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import ClassVar, Self

from stream.frame import Frame, Item, VideoInfo
from stream.settings.options import OutputOptions
from stream.sinks.display import Display

BROWSER = "browser"
"""The target that stands for the page."""


class Slot:
    """Holds the newest painted frame for any number of viewers; used from any thread.

    It stays while the runs that fill it come and go.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frame: Frame | None = None
        self._viewers: dict[object, Callable[[], None]] = {}
        self.shape = Fraction(1)
        """Width over height of one sample of its pictures."""

    @property
    def frame(self) -> Frame | None:
        """The newest frame; None before the first one and while nobody looks."""
        return self._frame

    @property
    def viewers(self) -> int:
        """How many look at it now."""
        return len(self._viewers)

    def watch(self, viewer: object, on_frame: Callable[[], None]) -> None:
        """One more looks; `on_frame` is called for every frame, in the thread that brings it."""
        with self._lock:
            self._viewers[viewer] = on_frame

    def leave(self, viewer: object) -> None:
        """A viewer goes; with the last one goes the picture."""
        with self._lock:
            self._viewers.pop(viewer, None)
            if not self._viewers:
                self._frame = None

    def put(self, frame: Frame) -> None:
        """The newest frame; it is dropped where nobody looks."""
        with self._lock:
            if not self._viewers:
                return
            self._frame = frame
            told = list(self._viewers.values())
        for tell in told:
            tell()


class BrowserSink(Display):
    """Leaves the newest frame where a server finds it.

    A frame that no inference has had its say on is not shown: a look that hides people would show
    them in the first moment.
    """

    priority: ClassVar[int] = 10
    at_once: ClassVar[bool] = True

    def __init__(self) -> None:
        self.slot = Slot()

    @classmethod
    def accepts(cls, target: str) -> bool:
        """The word `browser`."""
        return target == BROWSER

    @classmethod
    def from_target(cls, target: str, info: VideoInfo, options: OutputOptions) -> Self:
        """Nobody looks at it yet."""
        return cls()

    @property
    def wanted(self) -> bool:
        """Whether anybody looks."""
        return self.slot.viewers > 0

    def write(self, item: Item) -> None:
        """Takes a frame; who looks is told."""
        if isinstance(item, Frame) and item.instances is not None:
            self.slot.put(item)

    def notice(self, lines: Sequence[str]) -> None:
        """Nothing: the page asks the run itself how its source and its outputs are."""

    def close(self) -> None:
        """Nothing is held open."""
