"""Nowhere: for runs whose figures are all that is wanted."""

from __future__ import annotations

from typing import ClassVar, Self

from stream.frame import Item, VideoInfo
from stream.settings.options import OutputOptions
from stream.sinks.base import Sink

NOTHING = "nothing"
"""The target that stands for no output at all."""


class NothingSink(Sink):
    """Lets everything go; a frame counts as shown once it is here."""

    priority: ClassVar[int] = 10
    shows: ClassVar[bool] = True

    @classmethod
    def accepts(cls, target: str) -> bool:
        """The word `nothing`."""
        return target == NOTHING

    @classmethod
    def from_target(cls, target: str, info: VideoInfo, options: OutputOptions) -> Self:
        """There is nothing to open."""
        return cls()

    @classmethod
    def check_alpha(cls, target: str, options: OutputOptions) -> None:
        """There is nothing to keep."""

    @classmethod
    def check_identities(cls, target: str, options: OutputOptions) -> None:
        """There is nothing to keep."""

    def write(self, item: Item) -> None:
        """Lets it go."""

    def close(self) -> None:
        """There is nothing to finish."""
