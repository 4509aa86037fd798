"""Layers that cover objects, so that nobody can be recognised."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.behind import composed, reduced
from stream.compositing.canvas import Canvas
from stream.compositing.layer import Layer
from stream.compositing.mattes import Edge, matte, on_grid
from stream.compositing.planes import Samples, part
from stream.compositing.selection import ALL
from stream.compositing.style import Style
from stream.instances import Instances, box_iou
from stream.roi import Window
from stream.types import Array

_GROWN = 0.5
"""Where a mask is at least half as sure as it must be for an object's pixel, it is covered."""
_AROUND = 0.015
"""Of the picture's shorter side: how far the cover reaches beyond, fading."""
_BEYOND = 0.03
"""Of the object's longer side: the same, where it is more."""
_SAME = 0.5
"""Overlap of boxes from which on an object that is missing has been found under another number."""
_SWELLING = 0.4
"""By how much of its size the cover of a missing object grows in a second, as it may move."""
_WITHIN = 0.8
"""Share of a box from which on what is unsure lies within what was found: a limb, mostly."""
_UNSURE = 0.3
"""Of the time for which what was covered stays covered: for how long what was never sure does."""
_SPANS = 20
"""Spans of time that are said one by one."""


class _Seen(NamedTuple):
    """An object as it was last found; `sure` once it reached the threshold."""

    identity: int | None
    box: NDArray[np.float32]
    mask: NDArray[np.float32]
    mask_box: NDArray[np.float32]
    seconds: float
    sure: bool = True


class _Frames:
    """Which frames something was done in, in memory that does not grow."""

    def __init__(self) -> None:
        self._count = 0
        self._spans: list[tuple[float, float]] = []
        self._more = 0
        self._before = False

    def add(self, seconds: float, *, done: bool) -> None:
        """The next frame, and whether it was done there."""
        if done:
            self._count += 1
            if not self._before:
                self._more += len(self._spans) >= _SPANS
                self._spans = [*self._spans[:_SPANS], (seconds, seconds)]
            else:
                self._spans[-1] = (self._spans[-1][0], seconds)
        self._before = done

    def remark(self, what: str) -> list[str]:
        """In how many frames it was done, and when; nothing where in none."""
        if not self._count:
            return []
        spans = ", ".join(f"{start:.2f}-{end:.2f} s" for start, end in self._spans[:_SPANS])
        more = f" and {self._more} more times" if self._more else ""
        frames = "1 frame" if self._count == 1 else f"{self._count} frames"
        return [f"in {frames} {what}: {spans}{more}"]


class Cover(Layer):
    """Covers each object, generously, and for a while goes on covering where it was last found.

    A detector misses an object now and then; its number, or where it is, says that it is still the
    same one. What the detector doubts is covered too: nobody is to be seen because of a low score.
    """

    pastes: ClassVar[bool] = False
    covers: ClassVar[bool] = True
    remembers: ClassVar[bool] = True

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self._seen: list[_Seen] = []
        self._last = -math.inf
        self._by_memory = _Frames()
        self._by_doubt = _Frames()

    @abstractmethod
    def covered(
        self,
        canvas: Canvas,
        samples: Samples,
        step: tuple[int, int],
        plane: int,
        window: Window,
        longest: float,
    ) -> Samples | int:
        """What covers an object in a part of a plane.

        Args:
            canvas: the frame.
            samples: the whole plane.
            step: rows and columns of luma per sample.
            plane: 0 for luma, 1 and 2 for chroma.
            window: the part of the picture, on the grid.
            longest: the longer side of the object's box in pixels.

        Returns:
            Samples of that part's size, or one code value.
        """

    @property
    def remarks(self) -> list[str]:
        """In which frames an object was covered that was not found there, or hardly."""
        return [
            *self._by_memory.remark("an object was covered where it was last found"),
            *self._by_doubt.remark("something was covered that the model was not sure of"),
        ]

    def paint(self, canvas: Canvas) -> None:
        """Covers what was found and what is missing."""
        now = canvas.seconds
        missing = self._update(canvas.instances, now)
        for seen in missing:
            self._cover(canvas, seen, 1 + _SWELLING * (now - seen.seconds))
        for seen in self._seen:
            if seen.seconds == now:
                self._cover(canvas, seen, 1.0)

    def _update(self, instances: Instances, now: float) -> list[_Seen]:
        """Remembers what was found; returns what was found before and is missing."""
        if now < self._last:  # Another source, or from the start again.
            self._seen = []
        self._last = now
        found = list(_seen(instances, now, sure=True))
        doubted = [] if instances.unsure is None else list(_seen(instances.unsure, now, sure=False))
        gone = [
            seen
            for seen in self._seen
            if seen.seconds < now
            and now - seen.seconds <= self.style.cover_memory * (1.0 if seen.sure else _UNSURE)
            and not _again(seen, found)
        ]
        missing = []
        for seen in gone:
            place = _place(seen, doubted)
            if place is None:
                missing.append(seen)
            else:  # It is still there, though the model is not sure any more.
                again = doubted[place]
                doubted[place] = again._replace(identity=seen.identity, sure=seen.sure)
        if self.style.select != ALL:  # Of what nobody chose, nothing is covered.
            doubted = [one for one in doubted if one.sure]
        self._seen = found + doubted + missing
        self._by_memory.add(now, done=any(seen.sure for seen in missing))
        self._by_doubt.add(
            now,
            done=any(not _within(one, found) for one in doubted)
            or any(not seen.sure for seen in missing),
        )
        return missing

    def _cover(self, canvas: Canvas, seen: _Seen, scale: float) -> None:
        size = canvas.size
        longest = float(max(seen.box[2] - seen.box[0], seen.box[3] - seen.box[1])) * scale
        # An object may be far larger than the picture, of which it says nothing.
        reach = max(2.0, _AROUND * min(size), min(_BEYOND * longest, 0.1 * max(size)))
        edge = Edge(reach, held=True, grown=_GROWN)
        box = _scaled(seen.mask_box, scale)
        found = matte(seen.mask, box, size, canvas.threshold, edge)
        if found is None:
            return
        planes = canvas.planes
        window = on_grid(found[0], size, planes.grid)
        alpha = np.zeros((window[1] - window[0], window[3] - window[2]), np.uint8)
        top, left = found[0][0] - window[0], found[0][2] - window[2]
        alpha[top : top + len(found[1]), left : left + found[1].shape[1]] = found[1]
        for plane, (samples, step) in enumerate(zip(planes.samples, planes.steps, strict=True)):
            there = part(samples, step, window)
            cover = self.covered(canvas, samples, step, plane, window, longest)
            clear = cv2.bitwise_not(reduced(alpha, step, held=True))
            there[...] = composed(there, cover, np.asarray(clear, np.uint8))


def coarse(
    samples: Samples, step: tuple[int, int], window: Window, block: int, *, smooth: bool
) -> Samples:
    """A part of a plane in squares of one value each, which lie still in the picture.

    Args:
        samples: the whole plane.
        step: rows and columns of luma per sample.
        window: the part of the picture, on the plane's grid.
        block: side of the squares in pixels of luma, a multiple of the steps.
        smooth: whether values go over into each other between the squares' middles.

    Returns:
        Samples of the part's size.
    """
    rows, columns = block // step[0], block // step[1]
    top, bottom = window[0] // step[0], -(-window[1] // step[0])
    left, right = window[2] // step[1], -(-window[3] // step[1])
    # Whole squares, beyond the picture repeating its last samples.
    above, before = top - top % rows, left - left % columns
    below, beyond = bottom + -bottom % rows, right + -right % columns
    there = samples[above:below, before:beyond]  # as far as there is any
    margins = ((0, below - above - there.shape[0]), (0, beyond - before - there.shape[1]))
    whole: Array = np.pad(there, margins, mode="edge")
    size = (whole.shape[1] // columns, whole.shape[0] // rows)
    small: Array = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
    how = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
    large: Array = cv2.resize(small, (whole.shape[1], whole.shape[0]), interpolation=how)
    return np.asarray(large[top - above : bottom - above, left - before : right - before])


def block_size(least: float, longest: float, grid: tuple[int, int]) -> int:
    """The side of squares in pixels: at least an eighth of an object, a multiple of the grid."""
    unit = math.lcm(*grid)
    return max(1, math.ceil(max(least, longest / 8, 2) / unit)) * unit


def _seen(instances: Instances, now: float, *, sure: bool) -> Iterator[_Seen]:
    ids = None if instances.track_ids is None else instances.track_ids.tolist()
    places = instances.paste_boxes
    for index, box in enumerate(instances.boxes):
        if np.isfinite(places[index]).all() and np.isfinite(box).all():
            identity = None if ids is None else ids[index]
            yield _Seen(identity, box, instances.masks[index], places[index], now, sure)


def _again(seen: _Seen, found: list[_Seen]) -> bool:
    if any(seen.identity is not None and seen.identity == one.identity for one in found):
        return True
    return _place(seen, found) is not None


def _place(seen: _Seen, found: list[_Seen]) -> int | None:
    """Which of those found is in an object's place."""
    if not found:
        return None
    overlaps = box_iou(seen.box[None], np.stack([one.box for one in found]))[0]
    best = int(overlaps.argmax())
    return best if overlaps[best] >= _SAME else None


def _within(one: _Seen, found: list[_Seen]) -> bool:
    """Whether it lies in what was found."""
    if not found:
        return False
    boxes = np.stack([other.box for other in found])
    low, high = np.maximum(boxes[:, :2], one.box[:2]), np.minimum(boxes[:, 2:], one.box[2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    area = float(np.prod(one.box[2:] - one.box[:2]))
    return bool(shared.max() >= _WITHIN * area)


def _scaled(box: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """A box grown around its middle."""
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * np.float32(scale)
    return np.concatenate([middle - half, middle + half]).astype(np.float32)
