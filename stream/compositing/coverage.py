"""Where a picture is covered: a small plane that errs on the side of covering."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.mattes import apart, around, wider
from stream.kernels import compiled
from stream.kernels.memory import address_of
from stream.roi import Window
from stream.types import Array

_FINE = 180
"""A picture's shorter side has about so many cells: covers are smooth, and end softly over one."""
_ONWARD = 0.05
"""How far a mask that is sure up to the edge of its box goes on beyond, of the box's sides: the
model cannot put anything outside a box that it has drawn too small."""


_THIRD = 85
"""What stands for a covered cell while they are counted."""
_LESS = 0.484
"""Between two codes, from where on an interpolated one counts as the higher one."""
_FADES = 2
"""Cells beside a covered one in which pixels may not stay wholly."""


class Grid(NamedTuple):
    """Cells that a picture is covered in.

    Attributes:
        size: the picture's height and width in pixels.
        side: of a cell in pixels; a multiple of the chroma planes' steps.
    """

    size: tuple[int, int]
    side: int

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns that hold the picture."""
        return -(-self.size[0] // self.side), -(-self.size[1] // self.side)


class Patch(NamedTuple):
    """What is covered of one object, and around it.

    Attributes:
        window: in cells, where the object lies.
        inside: uint8 of the window's size, `_THIRD` where the object is, else 0; not to be written
            to.
        radius: how far what is covered reaches beyond each of those, in cells.
        memory: where `inside` lies, and how many bytes one row of it lies after the other.
    """

    window: Window
    inside: NDArray[np.uint8]
    radius: int
    memory: tuple[int, int]


def grid_of(size: tuple[int, int], steps: tuple[int, int]) -> Grid:
    """The cells for a picture of a (height, width) and its chroma planes' steps."""
    unit = math.lcm(*steps)
    return Grid(size, unit * max(1, round(min(size) / _FINE / unit)))


def raised(masks: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Masks of 0..1 in whole numbers of 0..255, rounded upwards; float32 [N, M, M], N not 0."""
    flat = masks.reshape(-1, masks.shape[2])
    codes: Array = cv2.convertScaleAbs(flat, alpha=255, beta=0.499)
    return np.asarray(codes.reshape(masks.shape), np.uint8)


def patches(
    grid: Grid,
    masks: Sequence[NDArray[np.uint8]],
    boxes: NDArray[np.float32],
    threshold: float,
    reaches: NDArray[np.float64],
) -> list[Patch | None]:
    """Covers objects and what is around them.

    Args:
        grid: of the picture.
        masks: uint8 [M, M] of each of N, contiguous, from `raised`.
        boxes: float32 [N, 4], where they lie, in pixels of the picture; finite.
        threshold: where a mask is above this, 0..1, it is covered.
        reaches: float64 [N], how far beyond, in pixels.

    Returns:
        Of each, None where nothing of the picture is covered.
    """
    found: list[Patch | None] = [None] * len(masks)
    least = max(0, math.floor(255 * threshold) - 1) + _LESS
    kernels = compiled()
    if kernels is None:
        objects, places, windows = _placed(grid, masks, boxes, reaches)
    else:
        lie = np.array([(address_of(mask), *mask.shape) for mask in masks], np.int64)
        objects, places, windows = kernels.place(
            np.asarray(boxes, np.float32), reaches, lie, grid.side, grid.cells, _ONWARD
        )
    if not len(objects):
        return found
    if kernels is None:
        some = [masks[index] for index in windows[:, 5].tolist()]
        inside, within = _spread(some, objects, places, least)
    else:
        inside, within = kernels.spread(objects, places, least, _THIRD)
    at, start = 0, address_of(inside)
    for (first, last, before, after, radius, index), (row, column, tall, broad) in zip(
        windows.tolist(), within.tolist(), strict=True
    ):
        rows, columns = last - first, after - before
        if tall:
            there = inside[at : at + rows * columns].reshape(rows, columns)
            own = there[row : row + tall, column : column + broad]
            top, left = first + row, before + column
            memory = (start + at + row * columns + column, columns)
            found[index] = Patch((top, top + tall, left, left + broad), own, radius, memory)
        at += rows * columns
    return found


def _placed(
    grid: Grid,
    masks: Sequence[NDArray[np.uint8]],
    boxes: NDArray[np.float32],
    reaches: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """What the compiled loop `place` gives, to the last bit."""
    side, (height, width) = grid.side, grid.cells
    objects: list[tuple[int, ...]] = []
    places: list[tuple[float, ...]] = []
    windows: list[tuple[int, ...]] = []
    for index, ((x1, y1, x2, y2), reach) in enumerate(
        zip(boxes.tolist(), reaches.tolist(), strict=True)
    ):
        if not (x2 > x1 and y2 > y1):
            continue
        mask = masks[index]
        rows, columns = mask.shape
        most = max(rows, columns)
        onward, radius = max(1, math.ceil(_ONWARD * most)), max(1, math.ceil(reach / side))
        # Of the grid's cells a mask's cell takes so much.
        across, down = (x2 - x1) / side / columns, (y2 - y1) / side / rows
        left, right = x1 / side - onward * across, x2 / side + onward * across
        top, bottom = y1 / side - onward * down, y2 / side + onward * down
        # It falls to nothing half a mask's cell beyond.
        first, last = max(0, math.floor(top - down / 2)), min(height, math.ceil(bottom + down / 2))
        before, after = (
            max(0, math.floor(left - across / 2)),
            min(width, math.ceil(right + across / 2)),
        )
        if first >= last or before >= after:
            continue
        # Where the grid is coarser than the mask, the most of it counts.
        grown = (min(math.ceil(1 / max(one, 0.01)), most) for one in (down, across))
        size = (last - first, after - before)
        objects.append((address_of(mask), rows, columns, onward, *grown, *size))
        # From the middles of the grid's cells to the mask's.
        starts = (before + 0.5 - left) / across - 0.5, (first + 0.5 - top) / down - 0.5
        places.append((1 / across, 1 / down, *starts))
        windows.append((first, last, before, after, radius, index))
    return (
        np.array(objects, np.int64).reshape(-1, 8),
        np.array(places).reshape(-1, 4),
        np.array(windows, np.int64).reshape(-1, 6),
    )


def _spread(
    masks: Sequence[NDArray[np.uint8]],
    objects: NDArray[np.int64],
    places: NDArray[np.float64],
    least: float,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """What the compiled loop of this name gives, to the last bit: floats are rounded as there."""
    cells, within = [], []
    for mask, own, place in zip(masks, objects.tolist(), places.tolist(), strict=True):
        onward, *grown, rows, columns = own[3:]
        edges = (onward,) * 4
        wide: Array = cv2.copyMakeBorder(mask, *edges, cv2.BORDER_REPLICATE)
        wide = cv2.dilate(wide, _square(*grown))
        bare: Array = cv2.copyMakeBorder(wide, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0)
        around = bare.astype(np.float32)
        (left, behind), (top, below) = (
            _places(step, start, count, size)
            for step, start, count, size in zip(
                place[:2], place[2:], (columns, rows), wide.shape[::-1], strict=True
            )
        )
        wider = _between(around, left, behind, 1)
        soft = _between(wider, top, below[:, None], 0)
        inside = np.where(soft > np.float32(least), np.uint8(_THIRD), np.uint8(0))
        column, row, width, height = cv2.boundingRect(inside)
        cells.append(inside.ravel())
        within.append((row, column, height, width))
    return np.concatenate(cells), np.array(within, np.int64)


def _between(
    samples: NDArray[np.float32],
    places: NDArray[np.int64],
    shares: NDArray[np.float32],
    axis: int,
) -> NDArray[np.float32]:
    one, other = samples.take(places, axis), samples.take(places + 1, axis)
    other -= one
    other *= shares
    other += one
    return other


def _places(
    step: float, start: float, count: int, size: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Where cells' middles lie in a mask's samples, two of which are around it; and how far on."""
    place = step * np.arange(count) + start
    whole = np.floor(place)
    return np.clip(whole + 2, 0, size + 2).astype(np.int64), (place - whole).astype(np.float32)


def joined(grid: Grid, patches: Sequence[Patch]) -> NDArray[np.uint8]:
    """What patches leave bare together.

    Args:
        grid: of all of them.
        patches: at least one.

    Returns:
        How far each cell is bare, uint8 of the grid's cells: 0 where it is covered and straight
        beside that, so that covered cells stay so to their edges when pixels are interpolated.
    """
    kernels = compiled()
    if kernels is not None:
        halves = {radius: _halves(radius) for radius in {one.radius for one in patches}}
        places = {radius: address_of(one) for radius, one in halves.items()}
        items = [(*one.window, *one.memory, one.radius, places[one.radius]) for one in patches]
        return kernels.join(grid.cells, np.array(items, np.int64))
    plane = np.zeros(grid.cells, np.uint8)
    for number, radius in enumerate({one.radius for one in patches}):
        # What is around several is found at once.
        alike = [one for one in patches if one.radius == radius]
        inside = np.zeros(grid.cells, np.uint8) if number else plane
        for (top, bottom, left, right), own, *_ in alike:
            there = inside[top:bottom, left:right]
            cv2.max(there, own, dst=there)
        top, bottom, left, right = around(*(_reached(grid, one, 0) for one in alike))
        there = plane[top:bottom, left:right]
        grown = cv2.dilate(inside[top:bottom, left:right], _disc(radius))
        cv2.max(there, grown, dst=there)
    top, bottom, left, right = around(*(_reached(grid, one, _FADES) for one in patches))
    near = np.s_[top:bottom, left:right]
    # A cell counts for each of nine; three, as on a straight edge, are enough.
    counts = cv2.boxFilter(
        plane[near], -1, (3, 3), normalize=False, borderType=cv2.BORDER_REPLICATE
    )
    bare = np.full(grid.cells, 255, np.uint8)
    cv2.bitwise_not(counts, dst=bare[near])
    return bare


def windows_of(grid: Grid, patches: Sequence[Patch]) -> list[Window]:
    """Windows of cells that do not touch each other, outside which `joined` leaves all bare."""
    return apart(_reached(grid, one, _FADES) for one in patches)


def _reached(grid: Grid, patch: Patch, more: int) -> Window:
    """The cells that an object's cover reaches, and so many more around them."""
    return wider(patch.window, grid.cells, patch.radius + more)


def pixels(grid: Grid, window: Window) -> Window:
    """The part of the picture under a window of cells."""
    return (
        window[0] * grid.side,
        min(grid.size[0], window[1] * grid.side),
        window[2] * grid.side,
        min(grid.size[1], window[3] * grid.side),
    )


def kept(bare: NDArray[np.uint8], grid: Grid, window: Window) -> NDArray[np.uint8]:
    """How far pixels stay as they are: not at all in covered cells, more and more beside them.

    Args:
        bare: uint8 of the grid's cells, from `joined`.
        grid: the cells.
        window: in cells.

    Returns:
        uint8 of the window's pixels, as far as the picture has any.
    """
    top, bottom, left, right = window
    # With the cells beside the window, towards which the outermost are interpolated.
    first, before = max(0, top - 1), max(0, left - 1)
    part, side = bare[first : bottom + 1, before : right + 1], grid.side
    size = (part.shape[1] * side, part.shape[0] * side)
    large: Array = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)
    shown = pixels(grid, window)
    y, x = (top - first) * side, (left - before) * side
    return np.asarray(
        large[y : y + shown[1] - shown[0], x : x + shown[3] - shown[2]],
        np.uint8,
    )


@lru_cache(maxsize=64)
def _square(rows: int, columns: int) -> NDArray[np.uint8]:
    return np.ones((rows, columns), np.uint8)


@lru_cache(maxsize=64)
def _disc(radius: int) -> NDArray[np.uint8]:
    side = 2 * radius + 1
    disc: Array = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(disc, np.uint8)


@lru_cache(maxsize=64)
def _halves(radius: int) -> NDArray[np.int64]:
    """How far such a disc reaches to each side of its middle, row by row."""
    return np.asarray(np.count_nonzero(_disc(radius), axis=1) // 2, np.int64)
