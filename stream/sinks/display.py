"""What every place is that shows pictures as they come."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from stream.sinks.base import Sink


class Display(Sink):
    """Shows the newest picture: a window; a browser page and virtual cameras are further ones.

    `write` never waits: a picture that comes before the last one was shown takes its place, and
    `dropped` counts that.
    """

    dropped: int = 0

    @abstractmethod
    def notice(self, lines: Sequence[str]) -> None:
        """Shows lines of text over the picture until others are given; from any thread.

        For what is not part of the picture, and while no picture comes.
        """
