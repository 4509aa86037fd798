"""From an instance's soft mask to how strongly each pixel is painted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.roi import Window, mask_window, threshold_mask
from stream.types import Array


@dataclass(frozen=True, slots=True)
class Profile:
    """How strongly a colour covers by the distance from an object's edge.

    Attributes:
        side: of the square over which a mask is counted; odd.
        table: uint8 [256], opacity by how many pixels of the square are inside.
        least: opacity of objects that are too thin to have pixels deep inside.
    """

    side: int
    table: NDArray[np.uint8]
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
    return Profile(side, np.round(255 * covered).astype(np.uint8), round(255 * least))


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
    out = allocate((bottom - top) * (right - left)).reshape(bottom - top, right - left)
    window = (top, bottom, left, right)
    inside = threshold_mask(mask, box, window, threshold, out)
    # The position of the first True, found without reading on.
    return (window, inside.view(np.uint8)) if inside.flat[inside.argmax()] else None


def strips(shape: tuple[int, int], grid: tuple[int, int], most: int) -> Iterator[tuple[int, int]]:
    """Cuts rows into even parts of at most about `most` pixels, each starting on the grid."""
    height, width = shape
    parts = -(-height * width // most)
    rows = -(-height // parts)
    rows += -rows % grid[0]
    for start in range(0, height, rows):
        yield start, min(height, start + rows)


def opacity(
    inside: NDArray[np.uint8],
    profile: Profile,
    start: int = 0,
    stop: int | None = None,
    thin: int = 16,
) -> NDArray[np.uint8]:
    """How strongly each pixel takes an instance's colour.

    The mask is counted over a small square around each pixel; across a straight edge the count
    rises linearly, so it tells the distance to the edge, and one table look-up makes an
    anti-aliased contour and fill of it. Unlike traced contours this costs the same for any shape.

    Args:
        inside: uint8 1 or 0.
        profile: how strongly by the distance from the edge.
        start: the first row that is wanted.
        stop: the row after the last that is wanted; None is the end.
        thin: a window that is narrower may hold an object without pixels deep inside.

    Returns:
        uint8 of the rows that are wanted, 0 (not at all) to 255.
    """
    stop = len(inside) if stop is None else stop
    side = profile.side
    first = max(0, start - side // 2)
    around = inside[first : stop + side // 2]
    count = cv2.boxFilter(
        around, -1, (side, side), normalize=False, borderType=cv2.BORDER_REPLICATE
    )
    alpha = np.asarray(cv2.LUT(count[start - first : stop - first], profile.table), np.uint8)
    if min(inside.shape) <= thin:
        # What is only a pixel or two thin has no inside to count: it is at least filled.
        least: Array = inside[start:stop] * np.uint8(profile.least)
        np.maximum(alpha, least, out=alpha)
    return alpha


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
    lower = np.flatnonzero(inside[min(height - 1, first + height // 8)])
    if len(lower):
        column = int(lower[len(lower) // 2])
    return left + column + 0.5, float(top + first)
