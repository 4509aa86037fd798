"""Frames as viewers get them, each made once for all who want the same."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fractions import Fraction
from typing import Generic, TypeVar

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from stream.frame import Frame
from stream.pictures.pixels import MATRICES, bgr_from_picture, matrix_of
from stream.pictures.references import Referencer
from stream.pictures.scaler import Scaler
from stream.sinks.browser import Slot

T = TypeVar("T")

JPEG_QUALITY = 80

_SQUARE = Fraction(1)
_LONGER = 4
"""How many times as long as the shorter side may be the longer one is at most: no encoder takes
strips of any length."""


class _Referencers(threading.local):
    """A referencer for each thread, as it wants."""

    def __init__(self) -> None:
        self.refer = Referencer()


_own = _Referencers()


class Shared(Generic[T]):
    """Makes something of the newest frame, once for all viewers that ask for it.

    Args:
        make: called in a thread of `executor`.
        executor: whose threads work.
        ready: gives what needs no making, in the loop itself; None of what has to be made.
    """

    def __init__(
        self,
        make: Callable[[Frame], T],
        executor: ThreadPoolExecutor,
        ready: Callable[[Frame], T | None] = lambda frame: None,
    ) -> None:
        self._make = make
        self._executor = executor
        self._ready = ready
        self._frame: Frame | None = None
        self._made: asyncio.Future[T] | None = None

    async def of(self, frame: Frame) -> T:
        """What is made of a frame; called in the server's loop."""
        if self._made is None or self._frame is not frame:
            # To hand it to a thread and back costs more than most frames need.
            ready = self._ready(frame)
            if ready is not None:
                return ready
            loop = asyncio.get_running_loop()
            self._frame = frame
            self._made = loop.run_in_executor(self._executor, self._make, frame)
        return await asyncio.shield(self._made)

    def forget(self) -> None:
        """Lets go of the frame."""
        self._frame = self._made = None


def fitted_size(width: int, height: int, most: int, shape: Fraction = _SQUARE) -> tuple[int, int]:
    """A size in square samples that looks the same and is not too large; both sides are even.

    Args:
        width: in samples.
        height: in samples.
        most: pixels that the shorter side may have; the longer one may have four times as many.
        shape: width over height of one sample.
    """
    wide = width * float(shape)
    scale = min(1.0, most / min(wide, height), _LONGER * most / max(wide, height))
    return max(2, round(wide * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def video_as_it_is(frame: Frame, height: int, shape: Fraction = _SQUARE) -> av.VideoFrame | None:
    """A frame that `video_of` has nothing to do to; None where it has."""
    picture = frame.seen()
    return picture if _is_as_wanted(picture, height, shape) else None


def _is_as_wanted(picture: av.VideoFrame, height: int, shape: Fraction) -> bool:
    """Whether a picture is as `video_of` makes it."""
    size = picture.width, picture.height
    return (
        picture.format.name == "yuv420p"
        and matrix_of(picture) in (5, 6)
        and picture.color_range != ColorRange.JPEG
        and fitted_size(*size, height, shape) == size
    )


def video_of(frame: Frame, height: int, shape: Fraction = _SQUARE) -> av.VideoFrame:
    """A frame as browsers take it: yuv420p, limited range, BT.601, square samples, not too large.

    VP8 carries no colour tags; browsers take its matrix for granted, and samples for square.
    """
    picture = _own.refer(frame.seen())
    if _is_as_wanted(picture, height, shape):
        return picture
    return Scaler()(
        picture,
        *fitted_size(picture.width, picture.height, height, shape),
        "yuv420p",
        src_colorspace=MATRICES[matrix_of(picture)].swscale,
        dst_colorspace=Colorspace.ITU601,
        src_color_range=(
            ColorRange.JPEG
            if picture.color_range == ColorRange.JPEG or picture.format.name.startswith("yuvj")
            else ColorRange.MPEG
        ),
        dst_color_range=ColorRange.MPEG,
    )


def jpeg_of(frame: Frame, height: int, shape: Fraction = _SQUARE) -> bytes:
    """A frame as JPEG in square samples, not too large."""
    pixels = bgr_from_picture(frame.seen())
    # Odd sides may stay as they are.
    if shape != 1 or min(pixels.shape[:2]) > height or max(pixels.shape[:2]) > _LONGER * height:
        pixels = _resized(pixels, fitted_size(pixels.shape[1], pixels.shape[0], height, shape))
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def png_of(frame: Frame, shape: Fraction = _SQUARE) -> bytes:
    """A frame as PNG in square samples, in its full size."""
    pixels = bgr_from_picture(frame.seen())
    if shape != 1:
        pixels = _resized(pixels, (max(1, round(pixels.shape[1] * shape)), pixels.shape[0]))
    return cv2.imencode(".png", pixels)[1].tobytes()


def _resized(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    larger = size[0] > pixels.shape[1]
    by = cv2.INTER_LINEAR if larger else cv2.INTER_AREA
    return cv2.resize(pixels, size, interpolation=by).astype(np.uint8, copy=False)


class Viewer:
    """Waits for a slot's newest frames in the server's loop; a slow one misses those in between.

    Args:
        slot: where frames come.
    """

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._loop = asyncio.get_running_loop()
        self._came = asyncio.Event()
        self._last: Frame | None = None
        self._closed = False
        slot.watch(self, self._tell)

    def _tell(self) -> None:
        with suppress(RuntimeError):  # the loop has ended; who waited in it has too
            self._loop.call_soon_threadsafe(self._came.set)

    async def next(self) -> Frame | None:
        """The newest frame, as soon as it is another than the last; None once it was closed."""
        while not self._closed:
            self._came.clear()
            frame = self._slot.frame
            if frame is not None and frame is not self._last:
                self._last = frame
                return frame
            await self._came.wait()
        return None

    def close(self) -> None:
        """It looks no more; safe to call twice."""
        self._closed = True
        self._slot.leave(self)
        self._last = None
        self._came.set()
