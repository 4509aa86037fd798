"""Pictures that a program has already: any iterable of RGB arrays."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from fractions import Fraction
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import ClassVar, TypeAlias

import av
import numpy as np
from numpy.typing import NDArray

from stream.errors import PictureError, SourceError, UsageError
from stream.frame import Frame, Item, VideoInfo
from stream.pictures.colour_tags import ColourTags
from stream.pictures.pixels import EXACT_MATRIX, EXACT_RGB, picture_from_bgr
from stream.pictures.rgb import advice, is_rgb, kind_of
from stream.settings.options import CutOptions, InputOptions
from stream.sources._description import Request
from stream.sources.base import Source, Target

_USUAL_RATE = 25
_PATIENCE_SECONDS = 1.0

_Taken: TypeAlias = tuple[av.VideoFrame, float] | None
"""A picture and the seconds that it took; None at the end."""


class _Aside:
    """Takes pictures in a thread of its own, which can be left alone where one does not come.

    Args:
        take: gives the picture of a number, and may wait for as long as it likes.
        let_go: is called in that thread at the end.
    """

    def __init__(self, take: Callable[[int], _Taken], let_go: Callable[[], None]) -> None:
        self._take, self._let_go = take, let_go
        self._asked: SimpleQueue[int | None] = SimpleQueue()
        self._answers: SimpleQueue[_Taken | BaseException] = SimpleQueue()
        self._failed: BaseException | None = None
        self._thread: threading.Thread | None = None

    def take(self, index: int) -> _Taken:
        """The picture, or None where it is not waited for any more."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="stream-arrays", daemon=True)
            self._thread.start()
        self._asked.put(index)
        answer = self._answers.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def leave(self) -> None:
        """Lets `take` return."""
        self._answers.put(None)

    def end(self) -> None:
        """Lets go of the iterable, and waits for that as long as can be expected."""
        if self._thread is None:
            self._let_go()
            return
        self._asked.put(None)
        self._thread.join(_PATIENCE_SECONDS)
        if self._failed is not None:
            raise self._failed

    def _run(self) -> None:
        while (index := self._asked.get()) is not None:
            try:
                self._answers.put(self._take(index))
            except BaseException as error:  # noqa: BLE001 - carried to who takes
                self._answers.put(error)
        try:
            self._let_go()
        except BaseException as error:  # noqa: BLE001 - carried to who ends
            self._failed = error


class ArraysSource(Source):
    """Arrays one after another, in full-range YUV 4:4:4 with 10 bits.

    That format holds every 8-bit RGB colour exactly, so that untouched pixels come out as they
    were given. Each may have a size of its own. They are taken from the iterable one at a time.
    One that is no list or array may wait for its next picture, perhaps for ever: it is asked in a
    thread of its own, which is left alone a second after it was closed.
    """

    heeds: ClassVar[tuple[str, ...]] = ("fps",)
    targets: ClassVar[str] = "an iterable of uint8 RGB arrays"

    def __init__(
        self,
        arrays: Iterable[NDArray[np.uint8]],
        rate: Fraction | float = _USUAL_RATE,
        cut: CutOptions | None = None,
    ) -> None:
        """Takes the first array.

        Args:
            arrays: uint8 [H, W, 3], red, green, blue.
            rate: pictures per second.
            cut: which part of them is taken, None for all; times begin with its first picture.

        Raises:
            UsageError: the rate is not above 0, or start, end and limit select nothing.
            SourceError: there is no array.
            PictureError: the first is not such an array.
        """
        if not rate > 0:
            raise UsageError(f"{rate} pictures per second are not possible")
        self.corrupt = 0
        self._rate = Fraction(rate).limit_denominator(1001)
        self._closing = threading.Event()
        cut = cut or CutOptions()
        request = Request.checked(cut.start, cut.end, cut.limit)
        first, last = self._wanted(request)
        self._given = iter(arrays)
        self._arrays = islice(self._given, first, last)
        self._waits = not isinstance(arrays, list | tuple | np.ndarray)
        self._aside: _Aside | None = None
        self._next = self._take(0)
        if self._next is None:
            if first:
                raise request.missed("the iterable")
            raise SourceError("there is no picture: the iterable is empty")
        count = len(range(len(arrays))[first:last]) if isinstance(arrays, Sized) else None
        self.info = VideoInfo(
            name="arrays",
            width=self._next[0].width,
            height=self._next[0].height,
            pixel_format=EXACT_RGB,
            time_base=1 / self._rate,
            rate=self._rate,
            frames=count,
            duration=None if count is None else count / self._rate,
            colour=ColourTags(2, 2, EXACT_MATRIX, full_range=True),
            codec="arrays",
        )

    @classmethod
    def accepts(cls, target: Target) -> bool:
        """Whether it is an iterable, and not a name or several names."""
        if isinstance(target, str | bytes | Path) or not isinstance(target, Iterable):
            return False
        # What a generator gives is not known before it is taken.
        return not isinstance(target, list | tuple | set) or not any(
            isinstance(one, str | Path) for one in target
        )

    @classmethod
    def from_target(cls, target: Target, options: InputOptions) -> ArraysSource:
        """Opens an iterable; its rate is `camera.fps`, or 25 pictures per second."""
        if isinstance(target, str | Path | int):
            raise UsageError(f"{target!r} is no iterable of arrays")
        if isinstance(target, np.ndarray) and target.ndim != 4:
            raise UsageError(
                f"an array {list(target.shape)} is no video: give several pictures, [N, H, W, 3] "
                "or a list; stream.Segmenter finds the objects of a single one"
            )
        rate = options.camera.fps or _USUAL_RATE
        return cls(target, rate, options.cut)  # type: ignore[arg-type]

    def _wanted(self, request: Request) -> tuple[int, int | None]:
        """The place of the first array that is taken, and of the first that no longer is."""
        first = math.ceil((request.start or 0) * self._rate)
        ends = [] if request.end is None else [math.ceil(request.end * self._rate)]
        if request.limit is not None:
            ends.append(first + request.limit)
        return first, min(ends, default=None)

    def __iter__(self) -> Iterator[Item]:
        """Yields one frame per array.

        Raises:
            PictureError: one is not a uint8 [H, W, 3] array.
        """
        tick = self.info.time_base
        index = 0
        aside = self._aside = _Aside(self._take, self._let_go) if self._waits else None
        try:
            while self._next is not None and not self._closing.is_set():
                (picture, seconds), self._next = self._next, None
                picture.pts, picture.time_base, picture.duration = index, tick, 1
                frame = Frame(picture, index, index, tick, 1)
                frame.stages["decode"] = seconds
                yield frame
                index += 1
                if not self._closing.is_set():
                    take = self._take if aside is None else aside.take
                    self._next = take(index)
        finally:
            self._aside = None  # each holds the other
            if aside is None:
                self._let_go()
            else:
                aside.end()

    def close(self) -> None:
        """Ends the iteration, also where the iterable is being waited for."""
        self._closing.set()
        aside = self._aside
        if aside is not None:
            aside.leave()

    def _let_go(self) -> None:
        if hasattr(self._given, "close"):
            self._given.close()

    def _take(self, index: int) -> _Taken:
        began = time.perf_counter()
        try:
            array: object = next(self._arrays)
        except StopIteration:
            return None
        if not isinstance(array, np.ndarray) or not is_rgb(array):
            files = "; give files as a list" if isinstance(array, str | Path) else ""
            raise PictureError(
                f"picture {index} is {kind_of(array)}; a uint8 array [H, W, 3] is needed"
                f"{files or advice(array)}"
            )
        picture = picture_from_bgr(np.ascontiguousarray(array[:, :, ::-1]))
        return picture, time.perf_counter() - began
