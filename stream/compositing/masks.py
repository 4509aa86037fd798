"""From an instance's soft mask to how much of each pixel stays beside its colour."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.enlarge import WHOLE, enlarged_whole, spans
from stream.compositing.squares import Rimmed, Scratch, counted, wide
from stream.roi import Window, mask_window, threshold_mask
from stream.types import Array


@dataclass(frozen=True, slots=True)
class Profile:
    """How strongly a colour covers by the distance from an object's edge.

    Attributes:
        side: of the square over which a mask is counted; odd.
        keeps: uint8 [256], how much of a pixel stays by how many of the square are inside: 255
            where nothing is covered.
        shares: uint16 [256], the same of 256.
        least: opacity of objects that are too thin to have pixels deep inside.
    """

    side: int
    keeps: NDArray[np.uint8]
    shares: NDArray[np.uint16]
    least: int

    @property
    def bare(self) -> int:
        """How much of a pixel of thin objects stays at most, of 256."""
        return 256 - 256 * self.least // 255


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
    keeps = np.round(255 * (1 - covered)).astype(np.uint8)
    shares = np.round(256 * (1 - covered)).astype(np.uint16)
    return Profile(side, keeps, shares, round(255 * least))


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
    scratch: Scratch | None = None,
) -> tuple[Window, NDArray[np.uint8], Rimmed | None] | None:
    """`paste` in less than half the time, with edges that lie a fraction of a pixel beside.

    Returns:
        As `paste`, and the same with `margin` pixels around, or None where these are not at hand.
    """
    window = _window(mask, box, size, threshold, grid, margin)
    if window is None:
        return None
    top, bottom, left, right = window
    cells = spans(
        mask, box, (top - margin, bottom + margin, left - margin, right + margin), near=False
    )
    if cells is None:
        found = paste(mask, box, size, threshold, allocate, grid=grid, margin=margin)
        return None if found is None else (*found, None)
    soft = enlarged_whole(mask, cells, scratch)
    flat = allocate(soft.size)
    np.greater(soft.reshape(-1), np.uint16(threshold * WHOLE), flat)
    whole = flat.view(np.uint8).reshape(soft.shape)
    row, column = cells[0].before + margin, cells[1].before + margin
    below, after = row + bottom - top, column + right - left
    inside = whole[row:below, column:after]
    around = Rimmed(whole, row, column)
    if topmost(inside, around) is None:
        return None
    # Beyond the picture the mask is as on its rim.
    if top == 0:
        whole[row - margin : row] = whole[row]
    if bottom == size[0]:
        whole[below : below + margin] = whole[below - 1]
    if left == 0:
        whole[:, column - margin : column] = whole[:, column : column + 1]
    if right == size[1]:
        whole[:, after : after + margin] = whole[:, after - 1 : after]
    return window, inside, around


def topmost(inside: NDArray[np.uint8], around: Rimmed | None = None) -> int | None:
    """The first row of a mask in which the object is; None where it is in none.

    Args:
        inside: uint8 1 or 0.
        around: the same in one piece of memory, in which it is found without reading on.
    """
    if around is not None:
        place = int(around.whole.view(np.bool_).argmax())
        row, column = divmod(place, int(around.whole.shape[1]))
        first, column = row - around.row, column - around.column
        if 0 <= first < len(inside) and 0 <= column < inside.shape[1] and inside[first, column]:
            return first
    _, top, _, height = cv2.boundingRect(inside)
    return int(top) if height else None


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
    mask: Rimmed,
    rows: slice,
    columns: slice,
    profile: Profile,
    scratch: Scratch,
    *,
    thin: bool,
    shares: bool = False,
) -> Array:
    """How much of each pixel stays beside an instance's colour.

    The mask is counted over a small square around each pixel; across a straight edge the count
    rises linearly, so it tells the distance to the edge, and one table look-up makes an
    anti-aliased contour and fill of it. Unlike traced contours this costs the same for any shape.

    Args:
        mask: uint8 1 or 0, with at least half a square around it.
        rows: that are wanted, from the mask's first.
        columns: the same.
        profile: how strongly the colour covers by the distance from the edge.
        scratch: gives memory under the names `WORK` and `stays`, the latter for what is returned.
        thin: whether it may be an object without pixels deep inside.
        shares: whether shares of 256 are wanted.

    Returns:
        uint8 of the rows and columns, 255 (all stays) to 0; or uint16, 256 to 0.
    """
    count = counted(mask, rows, columns, profile.side, scratch)
    stays: Array
    if shares:
        table: Array = profile.shares
        stays = wide(scratch, count.shape, "stays")
    else:
        table, stays = profile.keeps, scratch("stays", count.shape)
    cv2.LUT(count, table, stays)
    if thin:
        # What is only a pixel or two thin has no inside to count: it is at least filled.
        whole = int(table[0])
        inside = mask.whole[mask.row + rows.start :, mask.column + columns.start :]
        least = table.dtype.type(whole * profile.least // 255)
        bare = whole - inside[: stays.shape[0], : stays.shape[1]] * least
        np.minimum(stays, bare.astype(table.dtype, copy=False), out=stays)
    return stays


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


def crest(
    window: Window, inside: NDArray[np.uint8], around: Rimmed | None = None
) -> tuple[float, float]:
    """The point on top of an object: x and y in pixels of the picture.

    x is the middle of the object an eighth of its window below its topmost pixel, at a person's
    head: steadier than the topmost pixel, and closer to the object than the middle of its box.

    Args:
        window: where the object is.
        inside: uint8 1 or 0 of the window's size, with at least one pixel inside.
        around: the same in one piece of memory, where it is at hand.
    """
    top, _, left, _ = window
    height, first = len(inside), topmost(inside, around) or 0
    (lower,) = inside[min(height - 1, first + height // 8)].nonzero()
    column = int(lower[len(lower) // 2]) if len(lower) else int(inside[first].argmax())
    return left + column + 0.5, float(top + first)
