"""From pixels back to shapes: the outlines of a mask, and small masks that say exactly the same."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from stream.roi import Window

Ring = NDArray[np.int32]
"""A closed outline, int32 [K, 2], x and y of pixels."""


def rings(inside: NDArray[np.bool_], window: Window, tolerance: float = 0.0) -> list[Ring]:
    """The outlines of the parts of a mask.

    Args:
        inside: bool of the window's size.
        window: where in the picture it lies.
        tolerance: how far a simplified outline may lie from the exact one, in pixels; 0 for exact.

    Returns:
        A ring for each part that hangs together (diagonal neighbours do), int32 [K, 2]: x and y of
        the outermost pixels that belong to it. Holes are closed.

    Raises:
        ValueError: the tolerance is no number from 0 on.
    """
    import cv2

    if not 0 <= tolerance < math.inf:
        raise ValueError(f"the tolerance is pixels, 0 or more, not {tolerance!r}")
    top, _, left, _ = window
    found, _ = cv2.findContours(
        inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(left, top)
    )
    if tolerance > 0:
        found = [cv2.approxPolyDP(ring, tolerance, closed=True) for ring in found]
    return [np.asarray(ring, np.int32).reshape(-1, 2) for ring in found]


def flags(mask: object) -> NDArray[np.bool_]:
    """A mask at full size of booleans, of which only what is not 0 is the object.

    Raises:
        ValueError: it holds shares, of which nobody knows where the object begins.
    """
    given = np.asarray(mask)
    if given.dtype.kind == "f" and not ((given == 0) | (given == 1)).all():
        raise ValueError(
            "a mask at full size is of booleans, not of shares: say above what it is the object, "
            "as in mask > 0.5"
        )
    return given.astype(np.bool_, copy=False)


def tight(mask: NDArray[np.bool_]) -> tuple[Window, NDArray[np.bool_]] | None:
    """A mask at full size, cut to the rows and columns in which it is True; None where it never is.

    Args:
        mask: bool [H, W].
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    window = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    return window, mask[window[0] : window[1], window[2] : window[3]]


def filled(
    corners: NDArray[np.float64], size: tuple[int, int]
) -> tuple[Window, NDArray[np.bool_]] | None:
    """The pixels whose centres lie inside a ring, as `tight` gives them.

    A row of pixels is crossed by an edge where this passes the middle of a column; what has an odd
    number of crossings above it is inside.

    Args:
        corners: float64 [K, 2], x and y, in which the picture's first pixel reaches from 0 to 1.
        size: the picture's height and width.
    """
    height, width = size
    others = np.roll(corners, -1, axis=0)
    ends = np.stack([corners[:, 0], others[:, 0]])
    first = np.clip(np.ceil(ends.min(axis=0) - 0.5), 0, width).astype(np.int64)
    last = np.clip(np.ceil(ends.max(axis=0) - 0.5), 0, width).astype(np.int64)
    many = last - first
    if not many.any():
        return None
    edge = np.repeat(np.arange(len(corners)), many)
    column = np.arange(len(edge)) - np.repeat(np.cumsum(many) - many - first, many)
    along = (others - corners)[edge]
    y = corners[edge, 1] + (column + 0.5 - corners[edge, 0]) * along[:, 1] / along[:, 0]
    row = np.clip(np.ceil(y - 0.5), 0, height).astype(np.int64)
    top, bottom = int(row.min()), int(row.max())
    left, right = int(column.min()), int(column.max()) + 1
    crossings = np.zeros((bottom - top + 1, right - left), np.uint8)
    np.add.at(crossings, (row - top, column - left), 1)
    odd = np.bitwise_xor.accumulate(crossings & 1, axis=0)[:-1].astype(np.bool_)
    found = tight(odd)
    if found is None:
        return None
    (above, below, before, behind), inside = found
    return (top + above, top + below, left + before, left + behind), inside


def united(
    parts: Iterable[tuple[Window, NDArray[np.bool_]] | None],
) -> tuple[Window, NDArray[np.bool_]] | None:
    """Several parts of a picture, as `tight` gives them, as one."""
    held = [part for part in parts if part is not None]
    if len(held) < 2:
        return held[0] if held else None
    windows = np.array([window for window, _ in held])
    top, left = windows[:, 0].min(), windows[:, 2].min()
    bottom, right = windows[:, 1].max(), windows[:, 3].max()
    inside = np.zeros((bottom - top, right - left), np.bool_)
    for window, part in held:
        inside[window[0] - top : window[1] - top, window[2] - left : window[3] - left] |= part
    return (int(top), int(bottom), int(left), int(right)), inside


_MOST_CELLS = 1 << 27
"""Of all masks of a picture together, 4 bytes each: half a gigabyte."""


def pixel_masks(
    parts: Iterable[tuple[Window, NDArray[np.bool_]] | None],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Masks whose cells are the picture's pixels, so that pasting them gives the same pixels again.

    Where masks are so many and so large that these would take more than half a gigabyte, cells of
    the largest are squares of several pixels, and say how much of these is the object.

    Args:
        parts: for each mask what `tight` gives.

    Returns:
        boxes: float32 [N, 4], around the pixels; of no size where a mask is empty.
        masks: float32 [N, M, M], 0 to 1, M being the longest side of all boxes, or less.
        mask_boxes: float32 [N, 4], in which the masks lie: M by M cells, from the box's top left.
    """
    given = list(parts)
    sides = [max(_extent(part)) for part in given]
    most = max(1, math.isqrt(_MOST_CELLS // max(1, len(given))))
    steps = [-(-side // most) for side in sides]
    cells = max((-(-side // step) for side, step in zip(sides, steps, strict=True)), default=1)
    boxes = np.zeros((len(given), 4), np.float32)
    mask_boxes = np.zeros((len(given), 4), np.float32)
    masks = np.zeros((len(given), cells, cells), np.float32)
    for index, (part, step) in enumerate(zip(given, steps, strict=True)):
        if part is None:
            continue
        (top, bottom, left, right), inside = part
        boxes[index] = left, top, right, bottom
        mask_boxes[index] = left, top, left + cells * step, top + cells * step
        shares = inside if step == 1 else _shares(inside, step)
        masks[index, : shares.shape[0], : shares.shape[1]] = shares
    return boxes, masks, mask_boxes


def _extent(part: tuple[Window, NDArray[np.bool_]] | None) -> tuple[int, int]:
    """How many rows and columns a mask has; one where it is empty."""
    if part is None:
        return 1, 1
    top, bottom, left, right = part[0]
    return bottom - top, right - left


def _shares(inside: NDArray[np.bool_], step: int) -> NDArray[np.float32]:
    """How much of each square of so many pixels is True, 0 to 1; beyond the edges nothing is."""
    height, width = inside.shape
    rows = np.zeros((-(-height // step), width), np.uint16)
    for first in range(step):
        part = inside[first::step]
        rows[: len(part)] += part
    shares = np.zeros((len(rows), -(-width // step)), np.float32)
    for first in range(step):
        column = rows[:, first::step]
        shares[:, : column.shape[1]] += column
    shares /= step * step
    return shares
