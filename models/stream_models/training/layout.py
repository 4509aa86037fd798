"""The ways in which training sets are laid out in folders, one module of `layouts` each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from stream.errors import UsageError
from stream.plugins import Kind
from stream_models.training.data import DataSet
from stream_models.training.exports import slip


class Layout(ABC):
    """One way of laying out pictures and labels.

    Attributes:
        title: what the layout is, as in "it is read as ...".
        looks_for: what shows it, as in "there is neither ... nor ...".
        rank: where a folder fits several, the lowest is taken.
    """

    title: ClassVar[str]
    looks_for: ClassVar[str]
    rank: ClassVar[int] = 1

    @abstractmethod
    def accepts(self, folder: Path) -> bool:
        """Whether `folder` is laid out so. Looks at names only, reads no labels."""

    def parts(self, folder: Path) -> list[str]:
        """The parts that `folder` holds: of `train`, `val`, `test`, and "" for the rest."""
        del folder
        return [""]

    @abstractmethod
    def read(self, folder: Path, part: str) -> DataSet:
        """Read one part of a folder that is accepted.

        Raises:
            UsageError: its labels cannot be read at all. What is wrong with single pictures and
                objects goes into `DataSet.problems` instead.
        """


KIND = Kind("stream_models.training.layouts", Layout)  # type: ignore[type-abstract]


def find(folder: Path) -> Layout:
    """The layout of `folder`.

    Raises:
        UsageError: there is none, or it could be several.
    """
    layouts = sorted((one() for one in KIND), key=lambda one: one.rank)
    try:
        fitting = [one for one in layouts if one.accepts(folder)]
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}") from error
    if not fitting:
        if not folder.exists():
            raise UsageError(f"{folder} is not there")
        if (said := slip(folder)) is not None:
            raise UsageError(said)
        looked = ", nor ".join(one.looks_for for one in layouts)
        raise UsageError(f"{folder} holds no training set: there is neither {looked}")
    best = [one for one in fitting if one.rank == fitting[0].rank]
    if len(best) > 1:
        could = " and as ".join(one.title for one in best)
        raise UsageError(f"{folder} can be read as {could}; leave only one of them in the folder")
    return best[0]
