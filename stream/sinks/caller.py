"""The program that runs us: it takes the frames itself."""

from __future__ import annotations

from typing import ClassVar

from stream.sinks.nothing import NothingSink

CALLER = "caller"
"""The target that stands for whoever iterates over the frames."""


class CallerSink(NothingSink):
    """Nothing is done with the frames here; see `Output.take`."""

    paints: ClassVar[bool] = False
    on_main_thread: ClassVar[bool] = True

    @property
    def wants_unsure(self) -> bool:
        """Nobody knows in which look the caller will draw: one that covers wants it."""
        return True

    @classmethod
    def accepts(cls, target: str) -> bool:
        """The word `caller`."""
        return target == CALLER
