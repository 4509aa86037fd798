"""From an instance's soft mask to how much of each pixel stays beside its colour."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.enlarge import WHOLE, enlarged, spans
from stream.roi import Window, mask_window, threshold_mask
from stream.types import Array

Scratch = Callable[[str, tuple[int, int]], NDArray[np.uint8]]
"""Gives memory of any content under a name, for a height and a width."""


BORDER = cv2.BORDER_REPLICATE | cv2.BORDER_ISOLATED
"""What masks are counted by: beyond their rims it is as there."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How strongly a colour covers by the distance from an object's edge.

    Attributes:
        side: of the square over which a mask is counted; odd.
        keeps: uint8 [256], how much of a pixel stays by how many of the square are inside: 255
            where nothing is covered.
        least: opacity of objects that are too thin to have pixels deep inside.
    """

    side: int
    keeps: NDArray[np.uint8]
    least: int


def profile(side: int, cover: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Profile:
    """Makes a profile.

    Args:
        side: of the square over which a mask is counted; odd, at most 15.
        cover: from distances to a straight edge in pixels, positive inside, to opacity, 0..1.
    """
    distance = (np.minimum(np.arange(256) / side**2, 1) - 0.5) * side
    covered = cover(distance)
    # Where only the edge is painted, all of a thin object is edge.
    least = float(covered[-1]) or float(covered.max())
    return Profile(side, np.round(255 * (1 - covered)).astype(np.uint8), round(255 * least))


def paste(
    mask: NDArray[np.float32],
    box: NDArray[np.float32],
    size: tuple[int, int],
    threshold: float,
    allocate: Callable[[int], NDArray[np.bool_]],
    *,
    grid: tuple[int, int] = (1, 1),
    margin: int = 0,
) -> tuple[Window, NDArray[np.uint8]] | None:
    """Where an instance is, pixel by pixel, in a window that suits a picture's planes.

    Args:
        mask: float32 [M, M], 0..1.
        box: float32 [4], x1, y1, x2, y2 in pixels of the picture; anything, also NaN.
        size: the picture's height and width in pixels.
        threshold: a soft mask above this is the object.
        allocate: gives memory for so many pixels.
        grid: rows and columns on which the window starts, and ends unless the picture ends.
        margin: pixels to add around.

    Returns:
        The window and the object there, uint8 1 or 0 of the window's size; None where no pixel of
        the picture is the object.
    """
    window = _window(mask, box, size, threshold, grid, margin)
    if window is None:
        return None
    top, bottom, left, right = window
    out = allocate((bottom - top) * (right - left)).reshape(bottom - top, right - left)
    inside = threshold_mask(mask, box, window, threshold, out)
    return _unless_empty(window, inside)


def _unless_empty(
    window: Window, inside: NDArray[np.bool_]
) -> tuple[Window, NDArray[np.uint8]] | None:
    # The position of the first True, found without reading on.
    return (window, inside.view(np.uint8)) if inside.flat[inside.argmax()] else None


def paste_nearly(
    mask: NDArray[np.float32],
    box: NDArray[np.float32],
    size: tuple[int, int],
    threshold: float,
    allocate: Callable[[int], NDArray[np.bool_]],
    *,
    grid: tuple[int, int] = (1, 1),
    margin: int = 0,
) -> tuple[Window, NDArray[np.uint8]] | None:
    """`paste` in less than half the time, with edges that lie a fraction of a pixel beside."""
    window = _window(mask, box, size, threshold, grid, margin)
    if window is None:
        return None
    cells = spans(mask, box, window, near=False)
    if cells is None:
        return paste(mask, box, size, threshold, allocate, grid=grid, margin=margin)
    soft = enlarged(mask, cells)
    inside = allocate(soft.size).reshape(soft.shape)
    np.greater(soft, np.uint16(threshold * WHOLE), out=inside)
    return _unless_empty(window, inside)


def _window(
    mask: NDArray[np.float32],
    box: NDArray[np.float32],
    size: tuple[int, int],
    threshold: float,
    grid: tuple[int, int],
    margin: int,
) -> Window | None:
    height, width = size
    reach = mask_window(box, (mask.shape[0], mask.shape[1]), width, height, threshold)
    if reach is None:
        return None
    top, bottom, left, right = reach
    rows, columns = grid
    top, left = max(0, top - margin), max(0, left - margin)
    top, left = top - top % rows, left - left % columns
    bottom = min(height, bottom + margin + -(bottom + margin) % rows)
    right = min(width, right + margin + -(right + margin) % columns)
    return top, bottom, left, right


def strips(shape: tuple[int, int], grid: tuple[int, int], most: int) -> Iterator[tuple[int, int]]:
    """Cuts rows into even parts of at most about `most` pixels, each starting on the grid."""
    height, width = shape
    parts = -(-height * width // most)
    rows = -(-height // parts)
    rows += -rows % grid[0]
    for start in range(0, height, rows):
        yield start, min(height, start + rows)


def kept(
    inside: NDArray[np.uint8],
    rows: slice,
    columns: slice,
    profile: Profile,
    scratch: Scratch,
    thin: int = 16,
) -> NDArray[np.uint8]:
    """How much of each pixel stays beside an instance's colour.

    The mask is counted over a small square around each pixel; across a straight edge the count
    rises linearly, so it tells the distance to the edge, and one table look-up makes an
    anti-aliased contour and fill of it. Unlike traced contours this costs the same for any shape.

    Args:
        inside: uint8 1 or 0.
        rows: that are wanted, within the mask's.
        columns: the same.
        profile: how strongly the colour covers by the distance from the edge.
        scratch: gives memory under the names `count` and `stays`, the latter for what is returned.
        thin: a window that is narrower may hold an object without pixels deep inside.

    Returns:
        uint8 of the rows and columns, 255 (all stays) to 0.
    """
    half = profile.side // 2
    first, before = max(0, rows.start - half), max(0, columns.start - half)
    around = inside[first : rows.stop + half, before : columns.stop + half]
    count = cv2.boxFilter(
        around,
        -1,
        (profile.side, profile.side),
        dst=scratch("count", around.shape),
        normalize=False,
        borderType=BORDER,
    )
    height, width = rows.stop - rows.start, columns.stop - columns.start
    top, left = rows.start - first, columns.start - before
    stays: Array = scratch("stays", (height, width))
    cv2.LUT(count[top : top + height, left : left + width], profile.keeps, dst=stays)
    if min(inside.shape) <= thin:
        # What is only a pixel or two thin has no inside to count: it is at least filled.
        least: Array = inside[rows, columns] * np.uint8(profile.least)
        cv2.min(stays, cv2.bitwise_not(least), dst=stays)
    return np.asarray(stays, np.uint8)


def extent(
    inside: NDArray[np.uint8], start: int, stop: int, reach: int, grid: tuple[int, int]
) -> tuple[slice, slice] | None:
    """Which rows and columns of a strip a colour can touch that covers an object and its rim.

    Args:
        inside: uint8 1 or 0.
        start: the strip's first row, on the grid.
        stop: the row after its last.
        reach: how far around the object, in pixels.
        grid: rows and columns on which the part begins, and ends unless the mask ends.

    Returns:
        None where the object is farther from the strip.
    """
    first = max(0, start - reach)
    left, top, width, height = cv2.boundingRect(inside[first : stop + reach])
    if not width:
        return None
    low, high = max(start, first + top - reach), min(stop, first + top + height + reach)
    before, after = max(0, left - reach), min(inside.shape[1], left + width + reach)
    return (
        slice(low - low % grid[0], min(stop, high + -high % grid[0])),
        slice(before - before % grid[1], min(inside.shape[1], after + -after % grid[1])),
    )


def crest(window: Window, inside: NDArray[np.uint8]) -> tuple[float, float]:
    """The point on top of an object: x and y in pixels of the picture.

    x is the middle of the object an eighth of its window below its topmost pixel, at a person's
    head: steadier than the topmost pixel, and closer to the object than the middle of its box.

    Args:
        window: where the object is.
        inside: uint8 1 or 0 of the window's size, with at least one pixel inside.
    """
    top, _, left, _ = window
    height, width = inside.shape
    first, column = divmod(int(inside.view(np.bool_).argmax()), width)
    (lower,) = inside[min(height - 1, first + height // 8)].nonzero()
    if len(lower):
        column = int(lower[len(lower) // 2])
    return left + column + 0.5, float(top + first)
