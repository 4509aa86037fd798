"""What every source of pictures is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from stream.frame import Item, VideoInfo


class Source(ABC):
    """Pictures with exact times, and the packets of the streams that go with them.

    A source is opened by its constructor, which raises `SourceError` with one sentence where that
    fails; it is iterated once, in one thread; `close` may be called from any thread and ends the
    iteration soon. `corrupt` counts pictures or packets that could not be decoded.
    """

    info: VideoInfo
    corrupt: int = 0

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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
