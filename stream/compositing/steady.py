"""Edges that lie still where the picture does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.mattes import around
from stream.compositing.soft import Soft
from stream.instances import Instances, box_iou
from stream.motion.propagator import is_cut
from stream.roi import Window
from stream.types import Array

_HELD = 0.85
"""How much of the last frame's mask stays where the picture did not change."""
_QUIET, _MOVING = 1.5, 3.5
"""Differences between two frames, in multiples of the noise and one code value: up to the first
nothing has changed, from the second on all has."""
_NOISIEST = 4.0
"""Codes. What differs more in most of the picture is motion, not noise."""
_REACH = 120
"""A picture's shorter side over how many pixels around one are looked at for motion."""
_SAME = 0.5
"""Overlap from which on an object without a number is the last frame's."""
_LONGEST = 1.0
"""Seconds after which a frame says nothing of the next."""


class Steady:
    """Blends each object's mask with its last one, where the picture stayed the same.

    A detector draws an edge a little differently in each frame although nothing moves, which
    shimmers. Where the picture moves, the frame's own mask is taken as it is, so that no edge lags
    behind. It remembers one frame. One thread at a time.
    """

    def __init__(self) -> None:
        self._luma: NDArray[np.uint8] | None = None
        self._coarse = np.zeros((0, 0), np.uint8)
        self._seconds = 0.0
        self._numbers: list[int] | None = None
        self._boxes = np.zeros((0, 4), np.float32)
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
            luma: uint8 [H, W] of the picture; it is copied.
            instances: the objects.
            softs: of each object.
            seconds: the frame's presentation time.

        Returns:
            Of each object; where nothing is known of the frame before, as they came.
        """
        before, coarse = self._luma, _coarse(luma)
        past = 0 < seconds - self._seconds <= _LONGEST
        alike = before is not None and before.shape == luma.shape
        if before is not None and alike and past and not is_cut(self._coarse, coarse):
            table = _table(_noise(self._coarse, coarse))
            softs = self._blended(before, luma, table, instances, softs)
        if before is None or not alike:
            self._luma = luma.copy()
        else:
            np.copyto(before, luma)
        self._coarse = coarse
        ids = instances.track_ids
        self._numbers = None if ids is None else ids.tolist()
        self._boxes, self._softs, self._seconds = instances.paste_boxes, softs, seconds
        return softs

    def _blended(
        self,
        before: NDArray[np.uint8],
        luma: NDArray[np.uint8],
        table: NDArray[np.uint8],
        instances: Instances,
        softs: list[Soft | None],
    ) -> list[Soft | None]:
        known = [
            None if soft is None or place is None else self._softs[place]
            for soft, place in zip(softs, self._places(instances), strict=True)
        ]
        both = [soft for soft, last in zip(softs, known, strict=True) if soft and last]
        if not both:
            return softs
        still = _Still(before, luma, table, [soft.window for soft in both])
        return [
            soft
            if soft is None or last is None
            else soft._replace(
                values=_mixed(soft.values, _moved(last, soft.window), still.held(soft))
            )
            for soft, last in zip(softs, known, strict=True)
        ]

    def _places(self, instances: Instances) -> list[int | None]:
        """Which object of the last frame each one is."""
        if not len(self._boxes):
            return [None] * len(instances)
        if instances.track_ids is not None and self._numbers is not None:
            known = {number: place for place, number in enumerate(self._numbers)}
            return [known.get(number) for number in instances.track_ids.tolist()]
        if not len(instances):
            return []
        overlaps = np.nan_to_num(box_iou(instances.paste_boxes, self._boxes))
        best = overlaps.argmax(axis=1).tolist()
        return [
            place if overlaps[index, place] >= _SAME else None for index, place in enumerate(best)
        ]


def _coarse(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Some of a picture's pixels, about a hundred a side."""
    step = max(1, min(luma.shape) // 96)
    return np.ascontiguousarray(luma[::step, ::step])


def _noise(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> float:
    """By how much two coarse pictures differ where nothing moves, in codes: the lower quartile."""
    differs: Array = cv2.absdiff(before, now)
    # What numpy.percentile(differs, 25) is, which sorts; values are few.
    reached = np.cumsum(np.bincount(differs.ravel(), minlength=256))
    place = 0.25 * (differs.size - 1)
    low, high = np.searchsorted(reached, [math.floor(place), math.ceil(place)], side="right")
    return float(min(_NOISIEST, low + (place - math.floor(place)) * (high - low)))


def _table(noise: float) -> NDArray[np.uint8]:
    """How much of the last mask stays by the mean difference around a pixel, uint8 [256]."""
    level = np.arange(256) / (1 + noise)
    share = np.clip((_MOVING - level) / (_MOVING - _QUIET), 0, 1)
    return np.asarray(np.rint(255 * _HELD * share), np.uint8)


_EITHER = np.full(256, 255, np.uint8)
_EITHER[[0, 255]] = 0


class _Still:
    """Where a picture is as it was in the last frame, around several objects together.

    Args:
        before: luma of the last frame, uint8 [H, W].
        luma: of this one.
        table: how much of the last mask stays by the mean difference around a pixel, uint8 [256].
        windows: the objects'.
    """

    def __init__(
        self,
        before: NDArray[np.uint8],
        luma: NDArray[np.uint8],
        table: NDArray[np.uint8],
        windows: Sequence[Window],
    ) -> None:
        top, bottom, left, right = reduce(around, windows)
        self._place = top, left
        # Looked for at half the size, which is a quarter of the work.
        shape = ((right - left + 1) // 2, (bottom - top + 1) // 2)
        one, other = (
            cv2.resize(part[top:bottom, left:right], shape, interpolation=cv2.INTER_LINEAR)
            for part in (before, luma)
        )
        side = 2 * max(1, round(min(luma.shape) / _REACH / 4)) + 1
        self._share: Array = cv2.LUT(cv2.blur(cv2.absdiff(one, other), (side, side)), table)

    def held(self, soft: Soft) -> NDArray[np.uint8]:
        """How much of the last mask stays at each pixel of an object's window.

        What is farther from the mask's edge than the mask may be off is no shimmer.
        """
        top, bottom, left, right = soft.window
        shape = ((right - left + 1) // 2, (bottom - top + 1) // 2)
        values = cv2.resize(soft.values, shape, interpolation=cv2.INTER_LINEAR)
        doubt = 2 * math.ceil(soft.doubt / 2) + 1
        edge: Array = cv2.LUT(cv2.blur(values, (doubt, doubt)), _EITHER)
        row, column = (top - self._place[0]) // 2, (left - self._place[1]) // 2
        held = cv2.bitwise_and(self._share[row : row + shape[1], column : column + shape[0]], edge)
        size = (right - left, bottom - top)
        return np.asarray(cv2.resize(held, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _moved(last: Soft, window: Window) -> NDArray[np.uint8]:
    """The last mask in another window of the picture."""
    if last.window == window:
        return last.values
    values = np.zeros((window[1] - window[0], window[3] - window[2]), np.uint8)
    top, bottom = max(window[0], last.window[0]), min(window[1], last.window[1])
    left, right = max(window[2], last.window[2]), min(window[3], last.window[3])
    if top < bottom and left < right:
        values[top - window[0] : bottom - window[0], left - window[2] : right - window[2]] = (
            last.values[
                top - last.window[0] : bottom - last.window[0],
                left - last.window[2] : right - last.window[2],
            ]
        )
    return values


def _mixed(
    ours: NDArray[np.uint8], last: NDArray[np.uint8], held: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """The sum: ours + held / 255 * (last - ours)."""
    kept: Array = cv2.multiply(last, held, scale=1 / 255)
    fresh: Array = cv2.multiply(ours, cv2.bitwise_not(held), scale=1 / 255)
    return np.asarray(cv2.add(kept, fresh), np.uint8)
