"""What every place is that shows pictures as they come."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from stream.sinks.base import Sink


class Display(Sink):
    """Shows the newest picture: a window; a browser page and virtual cameras are further ones."""

    shows: ClassVar[bool] = True

    def pump(self) -> bool:
        """Serves who watches; called often in the thread of `write`, also while no picture comes.

        Returns:
            False once its user has closed it, which ends the run.
        """
        return True

    @abstractmethod
    def notice(self, lines: Sequence[str]) -> None:
        """Shows lines of text over the picture until others are given; from any thread.

        For what is not part of the picture, and while no picture comes.
        """
