"""What every source of pictures is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stream.errors import StreamError, UsageError
from stream.frame import Frame, Item, Passthrough, VideoInfo
from stream.settings.options import InputOptions

Target: TypeAlias = str | Path | int | Sequence[str | Path] | Iterable[NDArray[np.uint8]]
"""What a source is asked for by: a path, an address, a word, a camera's number; several paths;
or pictures themselves, uint8 RGB [H, W, 3]."""


class Source(ABC):
    """Pictures with exact times, and the packets of the streams that go with them.

    A source is opened by its constructor, which raises `SourceError` with one sentence where that
    fails; it is iterated once, in one thread; `close` may be called from any thread and ends the
    iteration soon. `corrupt` counts pictures or packets that could not be decoded.
    """

    priority: ClassVar[int] = 0
    """Of the sources that accept a target, the one with the highest priority has it."""

    live: ClassVar[bool] = False
    """Whether pictures come at their own pace and cannot wait."""

    comes_back: ClassVar[bool] = False
    """Whether it is opened again whenever it goes away, so that one that is not there may come."""

    photos: ClassVar[bool] = False
    """Whether pictures are photos, which have nothing to do with each other."""

    parts: ClassVar[tuple[str, ...]] = ("start", "end", "limit")
    """By which of `CutOptions` a part of it can be taken; of a live source by none."""

    heeds: ClassVar[tuple[str, ...] | None] = None
    """Which options of cameras, networks and decoders it reads; None where nobody can tell."""

    targets: ClassVar[str] = ""
    """What it is asked for by, for the sentence that says what can be opened."""

    info: VideoInfo
    corrupt: int = 0

    @classmethod
    def accepts(cls, target: Target) -> bool:
        """Whether this is the kind of source for a target; nothing is opened for it."""
        return False

    @classmethod
    def from_target(cls, target: Target, options: InputOptions) -> Source:
        """Opens the source that a target stands for.

        Args:
            target: one that `accepts` says yes to.
            options: how it is opened; each kind reads what concerns it.

        Raises:
            UsageError: it is not possible as asked for.
            SourceError: it cannot be opened or read.
        """
        raise NotImplementedError(f"{cls.__name__} cannot be opened by a target")

    @abstractmethod
    def __iter__(self) -> Iterator[Item]:
        """Yields frames in presentation order and packets as they were read.

        Each frame carries the seconds it took to decode in `stages["decode"]`.
        """

    @abstractmethod
    def close(self) -> None:
        """Ends the iteration and releases files and devices; safe to call twice."""

    @property
    def remarks(self) -> list[str]:
        """What was wrong with the input or could not be used of it, a sentence each."""
        return []

    @property
    def again(self) -> str | None:
        """What it is to be opened by once more, where what it was asked for by may be another."""
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def check_time(frame: Frame, whence: str) -> None:
    """Makes sure that a frame has a time; one of a plug-in's or a program's own may have none.

    Raises:
        UsageError: it has none.
    """
    pts: int | None = frame.pts
    if pts is None or not frame.time_base:
        raise UsageError(
            f"{whence} a frame without a time (pts {pts}, time_base {frame.time_base}); pts counts "
            "ticks of time_base, such as its number at Fraction(1, 25)"
        )


def delivered(source: Source) -> Iterator[Item]:
    """What a source yields.

    Raises:
        StreamError: it is nothing that a run could hand on, or a frame without a time; a source
            may be somebody else's.
    """
    for item in source:
        if not isinstance(item, (Frame, Passthrough)):
            raise StreamError(
                f"the source {type(source).__name__} gave {type(item).__name__}, where frames and "
                "packets are handed on"
            )
        if isinstance(item, Frame):
            check_time(item, f"the source {type(source).__name__} gave")
        yield item
