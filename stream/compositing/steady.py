"""Edges that lie still where the picture does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, reduce

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.mattes import around
from stream.compositing.soft import Soft
from stream.compositing.together import laid
from stream.instances import Instances, box_iou
from stream.kernels import compiled
from stream.motion.propagator import is_cut
from stream.roi import Window
from stream.types import Array

_HELD = 0.85
"""How much of the last frame's mask stays where the picture did not change."""
_QUIET, _MOVING = 1.5, 3.5
"""Differences between two frames, in multiples of the noise and one code value: up to the first
nothing has changed, from the second on all has."""
_NOISIEST = 4
"""Codes. What differs more in most of the picture is motion, not noise."""
_REACH = 120
"""A picture's shorter side over how many pixels around one are looked at for motion."""
_SAME = 0.5
"""Overlap from which on an object without a number is the last frame's."""
_LONGEST = 1.0
"""Seconds after which a frame says nothing of the next."""


class _Still:
    """Where a picture is as it was in the last one."""

    def __init__(self) -> None:
        self._size: tuple[int, ...] = (0, 0)
        self._half: NDArray[np.uint8] | None = None
        self._coarse = np.zeros((0, 0), np.uint8)
        self._seconds = 0.0

    def __call__(
        self, luma: NDArray[np.uint8], seconds: float, windows: Sequence[Window]
    ) -> _Shares | None:
        """How much of the last mask stays around objects.

        Args:
            luma: uint8 [H, W] of the next picture.
            seconds: its presentation time.
            windows: what is asked for, together.

        Returns:
            None where nothing is known of the picture before, or another scene begins.
        """
        before, coarse = self._half, _coarse(luma)
        past = 0 < seconds - self._seconds <= _LONGEST
        known = before is not None and self._size == luma.shape
        # Looked for at half the size, which is a quarter of the work.
        half = _halved(luma, (0, luma.shape[0], 0, luma.shape[1]))
        shares: _Shares | None = None
        if before is not None and known and past and windows and not is_cut(self._coarse, coarse):
            around_all = reduce(around, windows)
            table = _table(_noise(self._coarse, coarse))
            side = 2 * max(1, round(min(luma.shape) / _REACH / 4)) + 1
            top, bottom, left, right = (
                around_all[0] // 2,
                (around_all[1] + 1) // 2,
                around_all[2] // 2,
                (around_all[3] + 1) // 2,
            )
            differs: Array = cv2.absdiff(
                before[top:bottom, left:right], half[top:bottom, left:right]
            )
            share: Array = cv2.LUT(cv2.blur(differs, (side, side)), table)
            shares = _Shares((top, left), np.asarray(share, np.uint8))
        self._size, self._half = luma.shape, half
        self._coarse, self._seconds = coarse, seconds
        return shares


class Steady:
    """Blends each object's mask with its last one, where the picture stayed the same.

    A detector draws an edge a little differently in each frame although nothing moves, which
    shimmers. Where the picture moves, the frame's own mask is taken as it is, so that no edge lags
    behind. It remembers one frame. One thread at a time.
    """

    def __init__(self) -> None:
        self._still = _Still()
        self._who = _Who()
        self._softs: list[Soft | None] = []

    def __call__(
        self,
        luma: NDArray[np.uint8],
        instances: Instances,
        softs: list[Soft | None],
        seconds: float,
    ) -> list[Soft | None]:
        """The masks of the next frame, steadied.

        Args:
            luma: uint8 [H, W] of the picture; it is not kept.
            instances: the objects.
            softs: of each object.
            seconds: the frame's presentation time.

        Returns:
            Of each object; where nothing is known of the frame before, as they came.
        """
        last = [None if place is None else self._softs[place] for place in self._who(instances)]
        both = [one.window for one, other in zip(softs, last, strict=True) if one and other]
        shares = self._still(luma, seconds, both)
        if shares is not None:
            softs = [
                soft
                if soft is None or before is None
                else shares.mixed(soft, laid([before], soft.window))
                for soft, before in zip(softs, last, strict=True)
            ]
        self._softs = softs
        return softs


class SteadyTogether:
    """The same for objects of which it does not count which is whose.

    Where objects come or go, the frame's own mask is taken.
    """

    def __init__(self) -> None:
        self._still = _Still()
        self._who = _Who()
        self._softs: list[Soft] = []

    def __call__(
        self, luma: NDArray[np.uint8], instances: Instances, softs: list[Soft], seconds: float
    ) -> list[Soft]:
        """The masks of the next frame, steadied.

        Args:
            luma: uint8 [H, W] of the picture; it is not kept.
            instances: the objects.
            softs: what they are together, in parts.
            seconds: the frame's presentation time.

        Returns:
            Of each part; where nothing is known of the frame before, as they came.
        """
        before = self._who.boxes
        places = self._who(instances)
        known = set(places)
        changed = [
            *(
                box
                for box, place in zip(instances.paste_boxes, places, strict=True)
                if place is None
            ),
            *(box for place, box in enumerate(before) if place not in known),
        ]
        shares = self._still(luma, seconds, [soft.window for soft in softs] if self._softs else [])
        if shares is not None:
            softs = [self._mixed(soft, shares, changed) for soft in softs]
        self._softs = softs
        return softs

    def _mixed(self, soft: Soft, shares: _Shares, changed: list[NDArray[np.float32]]) -> Soft:
        last = laid(self._softs, soft.window)
        fresh = [
            place for box in changed if (place := _within(box, soft.window, soft.doubt)) is not None
        ]
        if fresh:
            last = last.copy()
            for place in fresh:
                last[place] = soft.values[place]
        return shares.mixed(soft, last)


class _Who:
    """Which objects are those of the last frame.

    Attributes:
        boxes: of the last frame's, float32 [N, 4].
    """

    def __init__(self) -> None:
        self._numbers: list[int] | None = None
        self.boxes = np.zeros((0, 4), np.float32)

    def __call__(self, instances: Instances) -> list[int | None]:
        """Which object of the last frame each one is; they are remembered for the next."""
        places = self._places(instances)
        ids = instances.track_ids
        self._numbers = None if ids is None else ids.tolist()
        self.boxes = instances.paste_boxes
        return places

    def _places(self, instances: Instances) -> list[int | None]:
        """Which object of the last frame each one is."""
        if not len(self.boxes):
            return [None] * len(instances)
        if instances.track_ids is not None and self._numbers is not None:
            known = {number: place for place, number in enumerate(self._numbers)}
            return [known.get(number) for number in instances.track_ids.tolist()]
        overlaps = np.nan_to_num(box_iou(instances.paste_boxes, self.boxes))
        best = overlaps.argmax(axis=1).tolist()
        return [
            place if overlaps[index, place] >= _SAME else None for index, place in enumerate(best)
        ]


def _halved(values: NDArray[np.uint8], window: Window) -> NDArray[np.uint8]:
    """A window at half the picture's size: the pixels there that hold it.

    Where it begins or ends within one of these, the values at its rim go on, so that each of two
    windows that lie a pixel beside each other is halved on the picture's own pairs of pixels.
    """
    top, bottom, left, right = (edge % 2 for edge in window)
    if top or bottom or left or right:
        wider: Array = cv2.copyMakeBorder(values, top, bottom, left, right, cv2.BORDER_REPLICATE)
        values = np.asarray(wider, np.uint8)
    shape = (values.shape[1] // 2, values.shape[0] // 2)
    return np.asarray(cv2.resize(values, shape, interpolation=cv2.INTER_LINEAR), np.uint8)


def _coarse(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Some of a picture's pixels, about a hundred a side."""
    step = max(1, min(luma.shape) // 96)
    return luma[::step, ::step].copy()  # The picture is painted on afterwards.


def _noise(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> int:
    """By how much two coarse pictures differ where nothing moves, in codes: the lower quartile."""
    differs: Array = cv2.absdiff(before, now)
    reached = (int(np.count_nonzero(differs <= code)) for code in range(_NOISIEST))
    return sum(4 * count < differs.size for count in reached)


@cache
def _table(noise: int) -> NDArray[np.uint8]:
    """How much of the last mask stays by the mean difference around a pixel, uint8 [256]."""
    level = np.arange(256) / (1 + noise)
    share = np.clip((_MOVING - level) / (_MOVING - _QUIET), 0, 1)
    return np.asarray(np.rint(255 * _HELD * share), np.uint8)


_OTHER = 180
"""Codes by which a mask is another than the last one."""
_PART = 5
"""The smaller side of a mask's window over how thick a change is that is no shimmer. In a picture
of 176x144 a head's hair comes and goes over a tenth of it."""
_SURE = 40
"""Codes. So near to nothing or to all a mask is sure; what it does not show is seldom wholly 0."""
_DOUBTED = np.asarray(
    np.rint(np.clip((np.arange(256) - _SURE) / (255 - 2 * _SURE), 0, 1) * 255), np.uint8
)
_EITHER = np.full(256, 255, np.uint8)
_EITHER[[0, 255]] = 0


class _Shares:
    """How much of the last mask stays, at half the picture's size.

    Args:
        place: the first row and column at that size.
        share: uint8.
    """

    def __init__(self, place: tuple[int, int], share: NDArray[np.uint8]) -> None:
        self._place, self._share = place, share

    def mixed(self, soft: Soft, last: NDArray[np.uint8]) -> Soft:
        """A mask with the last one, in the same window, where the picture stayed the same."""
        held = self._held(soft, last)
        kernels = compiled()
        if kernels is not None:
            mixed = last.copy()
            whole = (0, mixed.shape[0], 0, mixed.shape[1])
            kernels.compose(mixed, soft.values, 1, whole, np.asarray(held, np.uint8))
            return soft._replace(values=mixed)
        kept: Array = cv2.multiply(last, held, scale=1 / 255)
        cv2.bitwise_not(held, dst=held)
        fresh: Array = cv2.multiply(soft.values, held, dst=held, scale=1 / 255)
        return soft._replace(values=np.asarray(cv2.add(kept, fresh, dst=kept), np.uint8))

    def _held(self, soft: Soft, last: NDArray[np.uint8]) -> Array:
        """How much stays at each pixel.

        What is farther from the mask's edge than the mask may be off is no shimmer, and neither is
        what changed over more than that and a part of its window: there a mask gained or lost a
        part, such as somebody whom a detector took for a part of another.
        """
        top, bottom, left, right = soft.window
        row, column = top // 2, left // 2
        values = _halved(soft.values, soft.window)
        shape = values.shape[::-1]
        doubt = 2 * math.ceil(soft.doubt / 2) + 1
        edge: Array = cv2.LUT(cv2.blur(cv2.LUT(values, _DOUBTED), (doubt, doubt)), _EITHER)
        first, start = top - 2 * row, left - 2 * column
        row, column = row - self._place[0], column - self._place[1]
        held = cv2.bitwise_and(self._share[row : row + shape[1], column : column + shape[0]], edge)
        before = _halved(last, soft.window)
        _, other = cv2.threshold(cv2.absdiff(values, before), _OTHER, 255, cv2.THRESH_BINARY)
        side = max(doubt, min(shape) // _PART | 1)
        if cv2.countNonZero(other) > side * side:
            thick = cv2.erode(other, np.ones((side, side), np.uint8))
            if cv2.countNonZero(thick):
                # Grown by more than it was shrunk, for the rim of what changed.
                square = np.ones((2 * side + 1, 2 * side + 1), np.uint8)
                held[cv2.dilate(thick, square) > 0] = 0
        whole = (2 * shape[0], 2 * shape[1])
        large: Array = cv2.resize(held, whole, interpolation=cv2.INTER_LINEAR)
        return large[first : first + bottom - top, start : start + right - left]


def _within(box: NDArray[np.float32], window: Window, margin: float) -> tuple[slice, slice] | None:
    """The part of a window that a box, and so much around it, takes; None where it is elsewhere."""
    if not np.isfinite(box).all():
        return None
    left, top, right, bottom = box.tolist()
    rows = slice(
        max(0, math.floor(top - margin) - window[0]),
        min(window[1], math.ceil(bottom + margin)) - window[0],
    )
    columns = slice(
        max(0, math.floor(left - margin) - window[2]),
        min(window[3], math.ceil(right + margin)) - window[2],
    )
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None
