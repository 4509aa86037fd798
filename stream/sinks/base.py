"""What every place that pictures go to is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from stream.frame import Item


class Sink(ABC):
    """Takes frames and copied packets in order.

    `write` and `close` are called from one thread. `SinkError` is raised with one sentence that
    says what was saved, where something was.
    """

    @abstractmethod
    def write(self, item: Item) -> None:
        """Takes one item; frames come in presentation order."""

    @abstractmethod
    def close(self) -> None:
        """Finishes the output so that it is a normal, complete file; safe to call twice."""

    def abort(self) -> None:
        """Lets go at once, without finishing; what was already saved stays playable."""
        self.close()

    @property
    def remarks(self) -> list[str]:
        """What the output could not keep of the input and why, a sentence each."""
        return []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()
