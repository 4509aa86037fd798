"""What every file of records is: text about what was found, a piece at a time."""

from __future__ import annotations

import json
import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from stream.errors import SinkError
from stream.frame import Frame, Item, VideoInfo
from stream.settings.options import STANDARD_OUTPUT, OutputOptions
from stream.sinks._destination import Destination, check_destination
from stream.sinks._standard import StandardOutput
from stream.sinks.base import About, Gone, Sink, Summary
from stream.wording.words import counted


class Records(Sink):
    """Writes about each frame what was found; nothing is painted for it.

    What it was given is in the file at once: nothing waits in a buffer of ours.
    """

    paints: ClassVar[bool] = False
    records: ClassVar[bool] = True

    endings: ClassVar[tuple[str, ...]] = ()
    """Of the files that are written this way, in lower case."""

    lasting: ClassVar[bool] = True
    """Whether what is in the file can be read at any time, not only once the run has ended."""

    sized: ClassVar[bool] = True
    """Whether the file says of each frame what its size is; live sources change it on the way."""

    @classmethod
    def accepts(cls, target: str) -> bool:
        """A file's name with one of the endings."""
        return "://" not in target and Path(target).suffix.lower() in cls.endings

    @classmethod
    def check(cls, target: str, options: OutputOptions, inputs: Sequence[Path] = ()) -> None:
        """Refuses a file that cannot be written or must not be replaced; see `Sink.check`."""
        if target != STANDARD_OUTPUT:
            check_destination(target, overwrite=options.overwrite, inputs=inputs)

    @classmethod
    def from_target(cls, target: str, info: VideoInfo, options: OutputOptions) -> Self:
        """Creates the file; see `Sink.from_target`."""
        return cls(target, info, overwrite=options.overwrite, masks=options.records_masks)

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        *,
        overwrite: bool = False,
        masks: str = "rle",
    ) -> None:
        """Creates the file.

        Args:
            path: the file; `-` is standard output.
            info: what is known of the frames that will come.
            overwrite: whether an existing file may be replaced.
            masks: how masks are held: `rle`, `polygon`, `soft` or `none`.

        Raises:
            UsageError: the file exists and may not be replaced.
            SinkError: it cannot be created.
        """
        self.path = Path(path)
        self.info = info
        self.about: About = {}
        self.masks = masks
        self.frames = self._of_another_size = 0
        self._summary: Callable[[], Summary] | None = None
        self._destination: Destination
        if str(path) == STANDARD_OUTPUT:
            self._destination = StandardOutput("records")
        else:
            self._destination = Destination(self.path, overwrite=overwrite)
        self._begun = self._done = False
        self._folder: Path | None = None

    def describe(self, about: About) -> None:
        """What is known of the run goes into the file's head."""
        self.about = about.copy()

    def conclude_with(self, summary: Callable[[], Summary]) -> None:
        """What the run counted goes into the file's end, where the format has a place for it."""
        self._summary = summary

    def write(self, item: Item) -> None:
        """Writes what was found in a frame."""
        if isinstance(item, Frame):
            self.put(item)
            self.frames += 1
            size = item.image.width, item.image.height
            self._of_another_size += size != (self.info.width, self.info.height)

    @property
    def remarks(self) -> list[str]:
        """Says where it cannot be told from the file of what size the pictures were."""
        many = self._of_another_size
        if self.sized or self.info.pictures or not many:
            return []
        return [
            f"{counted(many, 'frame')} in {self.path.name} had another size than the video began "
            "with, and places in pixels of that; .ndjson and .json say each frame's size"
        ]

    def close(self) -> None:
        """Finishes the file; safe to call twice.

        Raises:
            SinkError: it cannot be written to its end.
        """
        if self._done:
            return
        self.finish()
        self._done = True
        try:
            self._destination.commit()
        except OSError as error:
            raise SinkError(self._destination.explain(error), by_place=True) from error

    def abort(self) -> None:
        """Lets go at once; what was written stays."""
        if not self._done:
            self._done = True
            self._destination.abandon()

    def put(self, frame: Frame) -> None:
        """Writes a frame."""
        self._put(self._head() + self.text(frame))

    def finish(self) -> None:
        """Writes what comes after the last frame."""
        self._put(self._head())
        for piece in self.tail():
            self._put(piece)

    def head(self) -> str:
        """What comes before the first frame."""
        return ""

    @abstractmethod
    def text(self, frame: Frame) -> str:
        """What is written of a frame."""

    def tail(self) -> Iterable[str]:
        """What comes after the last frame, in pieces."""
        return ()

    def picture_name(self, frame: Frame) -> str | None:
        """The name of the file that a frame comes from, where each frame is one.

        Where they come from several folders, with its way from the folder that holds all of them:
        cameras call their pictures alike.
        """
        paths = self.info.pictures
        if frame.index >= len(paths):
            return None
        path = paths[frame.index].absolute()
        if self._folder is None:
            self._folder = _folder_of(paths)
        return path.relative_to(self._folder).as_posix()

    def _head(self) -> str:
        if self._begun:
            return ""
        self._begun = True
        return self.head()

    def _put(self, text: str) -> None:
        with self._told():
            self._destination.write(text.encode())
            self._destination.checkpoint()

    def _told(self) -> _Told:
        """What fails in it is told in a sentence, and ends the file."""
        return _Told(self)

    def fail(self, error: OSError) -> SinkError:
        """Ends the file where it is; returns the sentence."""
        self._done = True
        self._destination.abandon()
        said = self._destination.explain(error)
        if self._destination.removed:
            return SinkError(said, by_place=True, frames=0)
        if not self.lasting:
            return SinkError(
                f"{said}; {self.path.suffix} can be read only once it is whole: .ndjson and .csv "
                "can at any time",
                by_place=True,
                frames=0,
            )
        known = counted(self.frames, "frame is", "frames are")
        return SinkError(f"{said}; {known} in {self._destination.working}", by_place=True)


class _Told:
    def __init__(self, sink: Records) -> None:
        self._sink = sink

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, OSError):
            raise self._sink.fail(error) from error
        if isinstance(error, Gone):
            self._sink.abort()


def _folder_of(paths: Iterable[Path]) -> Path:
    """The folder that holds all files, however deep; the root where there is no other."""
    parents = {str(path.absolute().parent) for path in paths}
    try:
        return Path(os.path.commonpath(parents))
    except ValueError:  # on several drives of Windows
        return Path()


def exact(number: np.floating | float) -> float:
    """A float32 as the shortest decimal number that is read back as the same float32."""
    return float(str(np.float32(number)))


def as_json(value: object) -> str:
    """A value in JSON, in one line without blanks."""
    return json.dumps(
        value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=str
    )
