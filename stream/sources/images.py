"""Pictures: a photo, several, a folder of them or a glob."""

from __future__ import annotations

import glob
import logging
import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from stream.errors import NoSourceError, SourceError, UsageError
from stream.frame import Frame, Item, VideoInfo
from stream.photo_files.photo import colours_of, decoded, is_heif, opacity_of
from stream.photo_files.photo_facts import (
    ALPHA,
    CUT,
    DAMAGED,
    DARK,
    SENTENCES,
    beyond,
    is_animation,
    is_cut_png,
    tells_damage,
    unmultiplied,
    with_end,
)
from stream.photo_files.photo_range import leaves_upper_bits
from stream.pictures.colour_tags import ColourTags
from stream.pictures.pixels import EXACT_MATRIX, EXACT_RGB, picture_from_bgr, rgb_from_picture
from stream.settings.options import InputOptions
from stream.sources._container import explained, reason
from stream.sources.base import Source, Target
from stream.sources.folders import PICTURE_ENDINGS, VIDEO_ENDINGS, files_in
from stream.system.overheard import overheard
from stream.wording.addresses import redact
from stream.wording.names import namesakes

_log = logging.getLogger(__name__)

# What OpenCV does not read and FFmpeg may.
_READ_BY_FFMPEG = frozenset({".avif", ".heic", ".heif", ".jxl"})
PLACED = "/./"
"""In a picture's name, what parts the folder that was asked for from where it lies below it."""
NAMESAKE = "/././"
"""The same for a picture that nothing but its ending tells from another, which may be left out."""
# Also of an address of which a path has taken one of two slashes.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")
# In a name that is no file's they make it a glob.
_MAGIC = frozenset("*?[")


class ImagesSource(Source):
    """Pictures one after another, each of its own size, in full-range YUV 4:4:4 with 10 bits.

    That format holds every 8-bit RGB colour exactly, so that untouched pixels come out as they
    were. The orientation that a camera noted is carried out. A picture's time is its place in the
    sequence, in seconds. A picture that cannot be read is counted in `corrupt` and left out.

    Attributes:
        paths: where the pictures come from; those that turned out unreadable are taken out, so
            that `paths[frame.index]` is the file of a frame.
    """

    priority: ClassVar[int] = 10
    photos: ClassVar[bool] = True
    parts: ClassVar[tuple[str, ...]] = ("limit",)
    heeds: ClassVar[tuple[str, ...]] = ()
    targets: ClassVar[str] = "a picture, a folder or a glob of pictures"

    def __init__(self, inputs: str | Path | Sequence[str | Path]) -> None:
        """Finds the pictures and reads the first one.

        Args:
            inputs: files, folders (their pictures in order of name) and globs. In a file's name
                `/./` says that results lie in a folder as what comes behind it does: of
                `photos/./a/1.jpg` as `a/1.jpg`, and not as `1.jpg`. `/././` says moreover that
                there is another of this name but for its ending.

        Raises:
            SourceError: something does not exist, holds no pictures, or none can be read.
        """
        given = [inputs] if isinstance(inputs, str | Path) else list(inputs)
        self.corrupt = 0
        self._remarks: list[str] = []
        self._beyond: dict[str, list[Path]] = {}
        self._places: dict[Path, Path] = {}
        self._named_alike: set[Path] = set()
        self.paths: list[Path] = [path for entry in given for path in self._expand(entry)]
        if not self.paths:
            raise SourceError("there is no picture to read; name a file, a folder or a glob")
        # Before any turns out unreadable: results are called the same when it is mended.
        places = {path: self._places.get(path, Path(path.name)) for path in self.paths}
        alike = namesakes(places.values())
        self._named_alike |= {path for path, place in places.items() if place in alike}
        self._closing = threading.Event()
        count = len(self.paths)
        self._next = self._read(0)
        if self._next is None:
            if count == 1:
                raise SourceError(self._remarks[-1])
            raise SourceError(f"none of the {count} pictures can be read; {self._remarks[-1]}")
        first = self._next[0]
        self.info = VideoInfo(
            name=self.paths[0].name if count == 1 else f"{count} pictures",
            width=first.width,
            height=first.height,
            pixel_format=EXACT_RGB,
            time_base=Fraction(1),
            frames=len(self.paths),
            colour=ColourTags(2, 2, EXACT_MATRIX, full_range=True),
            codec=self.paths[0].suffix.lstrip(".").lower(),
            pictures=self.paths,  # the very list: what cannot be read is taken out of it later
            places=self._places,
            namesakes=frozenset(self._named_alike),
        )

    @classmethod
    def accepts(cls, target: Target) -> bool:
        """Whether it names a picture, a folder or a glob, or several such.

        A single animation is footage; among several it is the photo that it begins with.
        """
        if isinstance(target, list | tuple):
            return bool(target) and all(isinstance(one, str | Path) for one in target)
        if not isinstance(target, str | Path) or not str(target) or "://" in str(target):
            return False
        path, ending = Path(target), Path(target).suffix.lower()
        if path.is_dir():
            return True
        if ending in PICTURE_ENDINGS:
            return not is_animation(path)
        return bool(_MAGIC & set(str(target))) and ending not in VIDEO_ENDINGS and not path.exists()

    @classmethod
    def from_target(cls, target: Target, options: InputOptions) -> ImagesSource:
        """Opens the pictures; `cut.limit` is how many of them are taken."""
        given = [target] if isinstance(target, str | Path) else target
        if isinstance(given, int) or not all(isinstance(one, str | Path) for one in given):
            raise UsageError(f"{target!r} names no pictures")
        source = cls([one for one in given if isinstance(one, str | Path)])
        source._limit(options.cut.limit)
        return source

    def _limit(self, count: int | None) -> None:
        if count is not None and count < len(self.paths):
            del self.paths[count:]
            self.info = replace(self.info, frames=count)

    @property
    def remarks(self) -> list[str]:
        """Which pictures could not be read and what was left out, a sentence each."""
        beyond = []
        for kind, paths in self._beyond.items():
            more = f" and {len(paths) - 1} more" if paths[1:] else ""
            beyond.append(f"{paths[0].name}{more}: it has {SENTENCES[kind]}")
        return [*self._remarks, *beyond]

    def __iter__(self) -> Iterator[Item]:
        """Yields one frame per picture that can be read."""
        index = 0
        while self._next is not None and not self._closing.is_set():
            picture, seconds, opacity = self._next
            picture.pts, picture.time_base = index, Fraction(1)
            frame = Frame(picture, index, index, Fraction(1), 1)
            frame.stages["decode"] = seconds
            frame.alpha = opacity
            self._next = None
            yield frame
            index += 1
            self._next = self._read(index)

    def close(self) -> None:
        """Ends the iteration after the picture that is being read."""
        self._closing.set()

    def _expand(self, entry: str | Path) -> list[Path]:
        path = Path(entry)
        if _ADDRESS.match(str(entry)) and not path.exists():
            address = redact(_ADDRESS.sub(r"\1://", str(entry)))
            raise SourceError(
                f"{address} is an address and not a picture's file; open it on its own, as a text"
            )
        if path.is_dir():
            found = files_in(path, PICTURE_ENDINGS)
            if not found.taken:
                raise NoSourceError(f"the folder {path} has no pictures in it")
            remark = found.remark(path)
            self._remarks += [] if remark is None else [remark]
            return list(found.taken)
        _, marked, below = str(entry).partition(PLACED)
        if marked and path.exists() and ".." not in Path(below).parts:
            self._places[path] = Path(below)
            self._named_alike |= {path} if NAMESAKE in str(entry) else set()
        matches = [path] if path.exists() else _matching(entry)
        if not matches:
            raise NoSourceError(f"there is no picture {path}; check the name")
        return matches

    def _read(self, index: int) -> tuple[av.VideoFrame, float, NDArray[np.uint8] | None] | None:
        """The picture at a place in `paths`, or the next that can be read; None after the last.

        With the seconds that it took, and how opaque its pixels are where not all are wholly so.
        """
        while index < len(self.paths):
            path = self.paths[index]
            began = time.perf_counter()
            try:
                stored = content_of(path)
                data = unmultiplied(stored)
                picture, faults = read_picture(path, data)
            except SourceError as error:
                _log.debug("%s", error)
                self.corrupt += 1
                self._remarks.append(str(error))
                del self.paths[index]
                continue
            found, opacity = beyond(stored.tobytes()) | faults, None
            if ALPHA in found:
                opacity = opacity_of(data)
                found -= set() if opacity is None else {ALPHA}
                if opacity is not None and bool((opacity == 255).all()):
                    opacity = None
            for kind in sorted(found):
                self._beyond.setdefault(kind, []).append(path)
            return picture, time.perf_counter() - began, opacity
        return None


def _matching(entry: str | Path) -> list[Path]:
    # Path.glob takes no absolute patterns.
    names = glob.glob(str(entry), recursive=True)  # noqa: PTH207
    return sorted(path for path in map(Path, names) if path.is_file())


def photo(path: Path) -> NDArray[np.uint8]:
    """A picture's pixels upright, RGB, uint8 [H, W, 3].

    Raises:
        SourceError: it does not exist or cannot be read.
    """
    picture, _ = read_picture(path, unmultiplied(content_of(path)))
    return rgb_from_picture(picture)


def content_of(path: Path) -> NDArray[np.uint8]:
    """A file, uint8 [N].

    Raises:
        SourceError: it cannot be read, or is empty.
    """
    with explained(path):
        data = np.fromfile(path, np.uint8)
    if not data.size:
        raise SourceError(f"{path} is empty (0 bytes)")
    return data


def read_picture(path: Path, data: NDArray[np.uint8]) -> tuple[av.VideoFrame, set[str]]:
    """A picture upright, and `CUT`, `DAMAGED` or `DARK` where it is; what was cut off is grey.

    Raises:
        SourceError: it is no picture, or so damaged that none comes out of it.
    """
    if is_cut_png(data.tobytes()):
        raise SourceError(f"{path} is cut short: it ends within the picture")
    faults: set[str] = set()
    try:
        with overheard() as said:
            # Colour, 8 bits, turned upright as the camera noted.
            pixels = colours_of(data)
            if pixels is None and (ended := with_end(data)) is not None:
                pixels, faults = colours_of(ended), {CUT}
    except cv2.error as error:
        raise SourceError(f"{path} cannot be decoded: {error.err or error}") from error
    except ValueError as error:
        raise SourceError(f"{path} cannot be read: {error}; convert it to JPEG or PNG") from error
    if pixels is None and (path.suffix.lower() in _READ_BY_FFMPEG or is_heif(data)):
        return _read_by_ffmpeg(path, data), set()
    if pixels is None and path.suffix.lower() in VIDEO_ENDINGS:
        raise SourceError(f"{path} is not a picture; for videos use: stream file {path}")
    if pixels is None:
        raise SourceError(f"{path} is not a picture that can be read, or it is damaged")
    if not faults and tells_damage(said):
        faults = {DAMAGED}
    if leaves_upper_bits(data, pixels):
        faults |= {DARK}
    return picture_from_bgr(np.asarray(pixels, np.uint8)), faults


def _read_by_ffmpeg(path: Path, data: NDArray[np.uint8]) -> av.VideoFrame:
    try:
        return picture_from_bgr(decoded(data))
    except (av.error.InvalidDataError, av.error.EOFError) as error:
        raise SourceError(f"{path} is not a picture that can be read, or it is damaged") from error
    except av.FFmpegError as error:  # first: some of them are also a ValueError
        raise SourceError(f"{path} cannot be decoded: {reason(error)}") from error
    except ValueError as error:
        raise SourceError(f"{path} cannot be read: {error}; convert it to JPEG or PNG") from error
