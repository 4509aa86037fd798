"""From pixels back to shapes: the outlines of a mask, and small masks that say exactly the same."""

from __future__ import annotations

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
    """
    import cv2

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


def pixel_masks(
    parts: Iterable[tuple[Window, NDArray[np.bool_]] | None],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Masks whose cells are the picture's pixels, so that pasting them gives the same pixels again.

    Args:
        parts: for each mask what `tight` gives.

    Returns:
        boxes: float32 [N, 4], around the pixels; of no size where a mask is empty.
        masks: float32 [N, M, M], 0 or 1, M being the longest side of all boxes.
        mask_boxes: float32 [N, 4], in which the masks lie: M by M pixels, from the box's top left.
    """
    given = list(parts)
    sides = [max(w[1] - w[0], w[3] - w[2]) for w, _ in (part for part in given if part)]
    cells = max(sides, default=1)
    boxes = np.zeros((len(given), 4), np.float32)
    mask_boxes = np.zeros((len(given), 4), np.float32)
    masks = np.zeros((len(given), cells, cells), np.float32)
    for index, part in enumerate(given):
        if part is None:
            continue
        (top, bottom, left, right), inside = part
        boxes[index] = left, top, right, bottom
        mask_boxes[index] = left, top, left + cells, top + cells
        masks[index, : bottom - top, : right - left] = inside
    return boxes, masks, mask_boxes
