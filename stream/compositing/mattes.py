"""How far each pixel belongs to an object: soft masks at full resolution, with soft edges."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.enlarge import WHOLE, bend, enlarged, spans
from stream.kernels import compiled
from stream.pictures.pixels import reduce_to
from stream.roi import Window, mask_window, soft_strips

SLOPE = 0.5
"""How much a soft mask falls within one cell at an edge of which the model is sure."""

_MOVED = 0.07
"""From where on bends are hardly ever so slight, so that they are not looked for."""
_OFF = 0.02
"""By how much lower a mask's threshold may be so that all of an object is surely held; more would
show as a rim of what is behind."""


class Edge(NamedTuple):
    """How a matte falls off at an object's edge.

    Attributes:
        feather: over how many pixels.
        held: whether the object itself is whole (255) and only what is around it fades; else the
            fall is centred on its edge.
        grown: by how much the mask's threshold is lowered, as a factor; 1 leaves it.
    """

    feather: float
    held: bool
    grown: float = 1.0


class Matte:
    """How far pixels belong to an object.

    Attributes:
        alpha: uint8 of the picture's size, 0 (not at all) to 255 (wholly); not to be written to.
        window: outside it, all is 0; None where there is no object.
        parts: windows outside which all is 0, of each object.
    """

    def __init__(self, alpha: NDArray[np.uint8], parts: Sequence[Window]) -> None:
        self.alpha, self.parts = alpha, tuple(parts)
        self.window = around(*parts) if parts else None
        self._reduced: dict[tuple[Window, tuple[int, int], bool], NDArray[np.uint8]] = {}

    def reduced(self, window: Window, step: tuple[int, int], *, held: bool) -> NDArray[np.uint8]:
        """A part of it for a plane of fewer samples, made once.

        Args:
            window: of the picture, on the plane's grid.
            step: rows and columns of luma per sample.
            held: whether a sample is 255 if any of its pixels is.

        Returns:
            uint8 of the part's size in samples; not to be written to.
        """
        key = (window, step, held)
        if key not in self._reduced:
            top, bottom, left, right = window
            self._reduced[key] = _reduced(self.alpha[top:bottom, left:right], step, held=held)
        return self._reduced[key]


def _reduced(alpha: NDArray[np.uint8], step: tuple[int, int], *, held: bool) -> NDArray[np.uint8]:
    kernels, count = compiled(), step[0] * step[1]
    if (
        kernels is not None
        and held
        and step == (2, 2)
        and alpha.shape[0] % 2 == alpha.shape[1] % 2 == 0
    ):
        return kernels.held(alpha)
    small = reduce_to(alpha, step)
    if held and count > 1:
        small = np.asarray(cv2.convertScaleAbs(small, alpha=count), np.uint8)
    return small


def usual_feather(size: tuple[int, int], asked: float | None, *, thin: bool = False) -> float:
    """What was asked for, in pixels, else what suits a picture: 3 at 720p, thin 1; at least 1."""
    return max(1.0, min(size) / (720 if thin else 240)) if asked is None else asked


def union(
    alpha: NDArray[np.uint8],
    masks: NDArray[np.float32],
    boxes: NDArray[np.float32],
    threshold: float,
    edge: Edge,
) -> Matte:
    """The matte of all objects together.

    Args:
        alpha: uint8 of the picture's size, zeros, which is written to.
        masks: float32 [N, M, M], 0..1.
        boxes: float32 [N, 4], where they lie, in pixels of the picture; anything, also NaN.
        threshold: a soft mask above this is the object.
        edge: how it falls off.
    """
    height, width = alpha.shape
    kernels = compiled()
    cells = (masks.shape[1], masks.shape[2])
    if kernels is not None:
        lowered = threshold * edge.grown
        found = kernels.falls(boxes, cells, (height, width), lowered, edge.feather, held=edge.held)
        if found is not None:
            windows, falls = found
            some = kernels.union(masks, boxes, windows, falls, alpha)
            return Matte(alpha, [(a, b, c, d) for a, b, c, d in windows[some].tolist()])
    return joined(
        alpha,
        (
            matte(mask, box, (height, width), threshold, edge)
            for mask, box in zip(masks, boxes, strict=True)
        ),
    )


def joined(
    alpha: NDArray[np.uint8], parts: Iterable[tuple[Window, NDArray[np.uint8]] | None]
) -> Matte:
    """The mattes of single objects as one.

    Args:
        alpha: uint8 of the picture's size, zeros, which is written to.
        parts: a window of the picture and uint8 of its size each; None is nothing.
    """
    windows: list[Window] = []
    for found in parts:
        if found is None:
            continue
        (top, bottom, left, right), soft = found
        there = alpha[top:bottom, left:right]
        if windows:
            cv2.max(there, soft, dst=there)
        else:
            there[...] = soft
        windows.append(found[0])
    return Matte(alpha, windows)


def matte(
    mask: NDArray[np.float32],
    box: NDArray[np.float32],
    size: tuple[int, int],
    threshold: float,
    edge: Edge,
) -> tuple[Window, NDArray[np.uint8]] | None:
    """The matte of one object.

    A mask that is sure falls steeply, and fades over about the feather; where it is unsure, as in
    hair, it falls slowly and the fade is wider.

    Args:
        mask: float32 [M, M], 0..1.
        box: float32 [4], where it lies, in pixels of the picture; anything, also NaN.
        size: the picture's height and width in pixels.
        threshold: a soft mask above this is the object.
        edge: how it falls off.

    Returns:
        A window of the picture and uint8 of its size; None where no pixel is the object.
    """
    fall = _fall_of(box, (mask.shape[0], mask.shape[1]), size, threshold, edge)
    return None if fall is None else _matte(mask, box, fall, edge)


class _Fall(NamedTuple):
    """How the matte of one object falls off.

    Attributes:
        window: where it lies in the picture.
        low: what a mask must be more than.
        gain: what that is multiplied by.
        side: of a square over which it is averaged then, in pixels; 0 where it is not.
    """

    window: Window
    low: float
    gain: float
    side: int

    @property
    def offset(self) -> float:
        """What is added to a mask times the gain, so that all above the threshold is whole."""
        return 0.5 - self.low * self.gain


def _fall_of(
    box: NDArray[np.float32],
    cells: tuple[int, int],
    size: tuple[int, int],
    threshold: float,
    edge: Edge,
) -> _Fall | None:
    """How the matte of a mask of so many cells falls off; None where no pixel is the object."""
    threshold *= edge.grown
    x1, y1, x2, y2 = box.tolist()
    cell = math.sqrt(max(0.0, (x2 - x1) * (y2 - y1)) / (cells[0] * cells[1]))
    # NaN and boxes without area have no window.
    if mask_window(box, cells, size[1], size[0], threshold) is None:
        return None
    widest = 0.9 * threshold if edge.held else 1.8 * min(threshold, 1 - threshold)
    band = min(widest, max(1e-3, edge.feather * SLOPE / max(cell, 1e-3)))
    low = threshold - (band if edge.held else band / 2)
    # What the mask's own fall cannot reach is added by averaging.
    rest = edge.feather - band / SLOPE * cell
    side = 0 if rest < 1 else 2 * math.ceil(rest / 2) + 1
    window = mask_window(box, cells, size[1], size[0], low)
    if window is None:
        return None
    return _Fall(wider(window, size, side // 2), low, 255 / band, side)


def _matte(
    mask: NDArray[np.float32],
    box: NDArray[np.float32],
    fall: _Fall,
    edge: Edge,
) -> tuple[Window, NDArray[np.uint8]] | None:
    soft = _fallen(mask, box, fall, held=edge.held)
    if fall.side:
        side = (fall.side, fall.side)
        wide = cv2.blur(soft, side, borderType=cv2.BORDER_REPLICATE)
        soft = np.asarray(np.maximum(soft, cv2.add(wide, wide)) if edge.held else wide, np.uint8)
    return (fall.window, soft) if cv2.countNonZero(soft) else None


def _fallen(
    mask: NDArray[np.float32], box: NDArray[np.float32], fall: _Fall, *, held: bool
) -> NDArray[np.uint8]:
    """What a mask is above a value, times a gain, at the pixels of a window; rounded upwards.

    Where it is held, no pixel is less than it would be exactly.
    """
    window, low, gain = fall.window, fall.low, fall.gain
    kernels = compiled()
    if kernels is not None:
        return kernels.soft(mask, box, window, gain, fall.offset)
    cells = spans(mask, box, window, near=held)
    if cells is not None:
        off = cells[0].off + cells[1].off if held else 0.0
        # No bend is more than 2.
        if 2 * off <= _OFF:
            off *= 2
        elif off <= _MOVED:
            off *= bend(mask)
        if off <= _OFF:
            least: Any = max(0, math.floor((low - off) * WHOLE))
            over = cv2.subtract(enlarged(mask, cells), least)
            return np.asarray(cv2.convertScaleAbs(over, alpha=gain / WHOLE, beta=0.499), np.uint8)
    fallen = np.empty((window[1] - window[0], window[3] - window[2]), np.uint8)
    offset: Any = fall.offset  # OpenCV takes a number too, which its types do not say.
    # Interpolation is linear, so the gain is applied to the few cells instead of the many pixels.
    steep = mask * np.float32(gain)
    for part, strip in soft_strips(steep, box, window):
        # Numbers beyond 0 and 255 become those. Rounded upwards, so that all above the threshold
        # is whole.
        cv2.add(strip, offset, dst=fallen[part], dtype=cv2.CV_8U)
    return fallen


def around(*windows: Window) -> Window:
    """The smallest window that holds all of some."""
    tops, bottoms, lefts, rights = zip(*windows, strict=True)
    return min(tops), max(bottoms), min(lefts), max(rights)


def apart(windows: Iterable[Window]) -> list[Window]:
    """Windows that hold all of several and do not touch each other."""
    found: list[Window] = []
    for window in dict.fromkeys(windows):
        held = window
        # What grows may come to touch another.
        while touching := [one for one in found if _touch(one, held)]:
            held = around(held, *touching)
            found = [one for one in found if one not in touching]
        found.append(held)
    return found


def _touch(one: Window, other: Window) -> bool:
    return one[0] <= other[1] and other[0] <= one[1] and one[2] <= other[3] and other[2] <= one[3]


def wider(window: Window, size: tuple[int, int], by: int) -> Window:
    """A window with so many pixels around it, within a picture of a (height, width)."""
    top, bottom, left, right = window
    return max(0, top - by), min(size[0], bottom + by), max(0, left - by), min(size[1], right + by)


def on_grid(window: Window, size: tuple[int, int], grid: tuple[int, int]) -> Window:
    """A window grown to start on the grid, and to end on it unless the picture ends."""
    top, bottom, left, right = window
    rows, columns = grid
    return (
        top - top % rows,
        min(size[0], bottom + -bottom % rows),
        left - left % columns,
        min(size[1], right + -right % columns),
    )
