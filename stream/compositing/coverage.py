"""Where a picture is covered: a small plane that errs on the side of covering."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.mattes import apart
from stream.roi import Window
from stream.types import Array

_FINE = 180
"""A picture's shorter side has about so many cells: covers are smooth, and end softly over one."""
_ONWARD = 0.05
"""How far a mask that is sure up to the edge of its box goes on beyond, of the box's sides: the
model cannot put anything outside a box that it has drawn too small."""


_THIRD = 85
"""What stands for a covered cell while they are counted."""


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
        window: in cells, with all that is around it.
        inside: uint8 of the window's size, `_THIRD` where the object is, else 0; not to be written
            to.
        radius: how far what is covered reaches beyond, in cells.
    """

    window: Window
    inside: NDArray[np.uint8]
    radius: int


def grid_of(size: tuple[int, int], steps: tuple[int, int]) -> Grid:
    """The cells for a picture of a (height, width) and its chroma planes' steps."""
    unit = math.lcm(*steps)
    return Grid(size, unit * max(1, round(min(size) / _FINE / unit)))


def raised(masks: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Masks of 0..1 in whole numbers of 0..255, rounded upwards; float32 [N, M, M], N not 0."""
    flat = masks.reshape(-1, masks.shape[2])
    codes: Array = cv2.convertScaleAbs(flat, alpha=255, beta=0.499)
    return np.asarray(codes.reshape(masks.shape), np.uint8)


def patch(
    grid: Grid,
    mask: NDArray[np.uint8],
    box: NDArray[np.float32],
    threshold: float,
    reach: float,
) -> Patch | None:
    """Covers an object and what is around it.

    Args:
        grid: of the picture.
        mask: uint8 [M, M], from `raised`.
        box: float32 [4], where it lies, in pixels of the picture; finite.
        threshold: where the mask is above this, 0..1, it is covered.
        reach: how far beyond, in pixels.

    Returns:
        None where nothing of the picture is covered.
    """
    x1, y1, x2, y2 = box.tolist()
    if not (x2 > x1 and y2 > y1):
        return None
    cells, (rows, columns) = mask.shape, grid.cells
    onward = max(1, math.ceil(_ONWARD * max(cells)))
    wide: Array = cv2.copyMakeBorder(mask, onward, onward, onward, onward, cv2.BORDER_REPLICATE)
    # Of the grid's cells a mask's cell takes so much.
    across, down = (x2 - x1) / grid.side / cells[1], (y2 - y1) / grid.side / cells[0]
    left, right = x1 / grid.side - onward * across, x2 / grid.side + onward * across
    top, bottom = y1 / grid.side - onward * down, y2 / grid.side + onward * down
    if min(across, down) < 1:  # Where the grid is coarser than the mask, the most of it counts.
        sides = (min(math.ceil(1 / max(one, 0.01)), max(cells)) for one in (down, across))
        wide = cv2.dilate(wide, _square(*sides))
    radius = max(1, math.ceil(reach / grid.side))
    first, last = max(0, math.floor(top) - radius), min(rows, math.ceil(bottom) + radius)
    before, after = max(0, math.floor(left) - radius), min(columns, math.ceil(right) + radius)
    if first >= last or before >= after:
        return None
    # From the middles of the grid's cells to the mask's.
    place = np.array(
        [
            [1 / across, 0, (before + 0.5 - left) / across - 0.5],
            [0, 1 / down, (first + 0.5 - top) / down - 0.5],
        ]
    )
    size = (after - before, last - first)
    soft = cv2.warpAffine(wide, place, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    # One less than the threshold, as what is interpolated is rounded.
    least = max(0, math.floor(255 * threshold) - 1)
    _, inside = cv2.threshold(soft, least, _THIRD, cv2.THRESH_BINARY)
    column, row, width, height = cv2.boundingRect(inside)
    if not width:
        return None
    # No more than it reaches to.
    top, bottom = max(0, row - radius), min(size[1], row + height + radius)
    left, right = max(0, column - radius), min(size[0], column + width + radius)
    window = (first + top, first + bottom, before + left, before + right)
    return Patch(window, np.asarray(inside[top:bottom, left:right], np.uint8), radius)


def joined(grid: Grid, patches: Sequence[Patch]) -> tuple[NDArray[np.uint8], list[Window]]:
    """What patches leave bare together.

    Args:
        grid: of all of them.
        patches: at least one.

    Returns:
        How far each cell is bare, uint8 of the grid's cells: 0 where it is covered and straight
        beside that, so that covered cells stay so to their edges when pixels are interpolated;
        and windows that hold all that is not 255 and do not touch each other.
    """
    plane = np.zeros(grid.cells, np.uint8)
    for number, radius in enumerate({one.radius for one in patches}):
        # What is around several is found at once.
        alike = [one for one in patches if one.radius == radius]
        inside = np.zeros(grid.cells, np.uint8) if number else plane
        for (top, bottom, left, right), own, _ in alike:
            there = inside[top:bottom, left:right]
            cv2.max(there, own, dst=there)
        top, bottom, left, right = _around_all(alike)
        there = plane[top:bottom, left:right]
        grown = cv2.dilate(inside[top:bottom, left:right], _disc(radius))
        cv2.max(there, grown, dst=there)
    rows, columns = plane.shape
    top, bottom, left, right = _around_all(patches)
    near = np.s_[max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2]
    # A cell counts for each of nine; three, as on a straight edge, are enough.
    counts = cv2.boxFilter(
        plane[near], -1, (3, 3), normalize=False, borderType=cv2.BORDER_REPLICATE
    )
    bare = np.full(grid.cells, 255, np.uint8)
    cv2.bitwise_not(counts, dst=bare[near])
    windows = apart(
        (max(0, top - 2), min(rows, bottom + 2), max(0, left - 2), min(columns, right + 2))
        for top, bottom, left, right in (one.window for one in patches)
    )
    return bare, windows


def _around_all(patches: Sequence[Patch]) -> Window:
    tops, bottoms, lefts, rights = zip(*(one.window for one in patches), strict=True)
    return min(tops), max(bottoms), min(lefts), max(rights)


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
