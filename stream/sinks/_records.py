"""What every file of records is: text about what was found, a piece at a time."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from stream.errors import SinkError
from stream.frame import Frame, Item, VideoInfo
from stream.options import OutputOptions
from stream.sinks._destination import Destination, check_destination
from stream.sinks.base import About, Sink


class Records(Sink):
    """Writes text about each frame; nothing is painted for it.

    What it was given is in the file at once: nothing waits in a buffer of ours.
    """

    paints: ClassVar[bool] = False

    endings: ClassVar[tuple[str, ...]] = ()
    """Of the files that are written this way, in lower case."""

    @classmethod
    def accepts(cls, target: str) -> bool:
        """A file's name with one of the endings."""
        return "://" not in target and Path(target).suffix.lower() in cls.endings

    @classmethod
    def check(cls, target: str, options: OutputOptions, inputs: Sequence[Path] = ()) -> None:
        """Refuses a file that cannot be written or must not be replaced; see `Sink.check`."""
        check_destination(target, overwrite=options.overwrite, inputs=inputs)

    @classmethod
    def from_target(cls, target: str, info: VideoInfo, options: OutputOptions) -> Self:
        """Creates the file; see `Sink.from_target`."""
        return cls(target, info, overwrite=options.overwrite)

    def __init__(self, path: str | Path, info: VideoInfo, *, overwrite: bool = False) -> None:
        """Creates the file.

        Args:
            path: the file.
            info: what is known of the frames that will come.
            overwrite: whether an existing file may be replaced.

        Raises:
            UsageError: the file exists and may not be replaced.
            SinkError: it cannot be created.
        """
        self.path = Path(path)
        self.info = info
        self.about: About = {}
        self.frames = 0
        self._destination = Destination(self.path, overwrite=overwrite)
        self._begun = self._done = False

    def describe(self, about: About) -> None:
        """What is known of the run goes into the file's head."""
        self.about = about.copy()

    def write(self, item: Item) -> None:
        """Writes what was found in a frame."""
        if isinstance(item, Frame):
            self._put(self._head() + self.text(item))
            self.frames += 1

    def close(self) -> None:
        """Finishes the file; safe to call twice."""
        if self._done:
            return
        self._put(self._head() + self.tail())
        self._done = True
        try:
            self._destination.commit()
        except OSError as error:
            raise SinkError(self._destination.explain(error)) from error

    def abort(self) -> None:
        """Lets go at once; what was written stays."""
        if not self._done:
            self._done = True
            self._destination.abandon()

    def head(self) -> str:
        """What comes before the first frame."""
        return ""

    @abstractmethod
    def text(self, frame: Frame) -> str:
        """What is written of a frame."""

    def tail(self) -> str:
        """What comes after the last frame."""
        return ""

    def _head(self) -> str:
        if self._begun:
            return ""
        self._begun = True
        return self.head()

    def _put(self, text: str) -> None:
        try:
            self._destination.write(text.encode())
            self._destination.checkpoint()
        except OSError as error:
            self._done = True
            self._destination.abandon()
            raise SinkError(
                f"{self._destination.explain(error)}; {self.frames} frames are in "
                f"{self._destination.working}"
            ) from error


def exact(number: np.floating | float) -> float:
    """A float32 as the shortest decimal number that is read back as the same float32."""
    return float(str(np.float32(number)))


def as_json(value: object) -> str:
    """A value in JSON, in one line without blanks."""
    return json.dumps(
        value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=str
    )
