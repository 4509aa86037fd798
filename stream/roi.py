"""From a small soft mask in the frame of its box to pixels.

This is the one place that says where a mask's cells lie: `Instances.full_masks`, compositing and
evaluation all use it, so they agree to the pixel.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Window = tuple[int, int, int, int]
"""Rows y1 to y2 and columns x1 to x2 of a picture, ends exclusive."""


def resample_mask(
    mask: NDArray[np.float32], box: NDArray[np.float32], width: int, height: int
) -> tuple[Window, NDArray[np.float32]] | None:
    """Resamples a soft mask to the pixels of its box, bilinearly.

    Cell (i, j) of an M x M mask covers the box evenly: its centre lies at
    x1 + (j + 0.5) / M * (x2 - x1). A pixel's value is taken at its centre; beyond the outermost
    cell centres the mask fades to zero over one cell, as Mask R-CNN's pasting with one cell of
    zero padding does (torchvision, `paste_masks_in_image`; Detectron, `expand_boxes`).

    Args:
        mask: float32 [M, M], 0..1.
        box: float32 [4], x1, y1, x2, y2 in pixels of the picture.
        width: the picture's width in pixels.
        height: the picture's height in pixels.

    Returns:
        The window of the picture that the mask touches and the soft mask there, float32 of the
        window's size; None where the box lies outside the picture or is empty.
    """
    x1, y1, x2, y2 = (float(value) for value in box)
    rows, columns = mask.shape
    if not (x2 > x1 and y2 > y1 and math.isfinite(x2 - x1) and math.isfinite(y2 - y1)):
        return None
    cell_x, cell_y = (x2 - x1) / columns, (y2 - y1) / rows
    # Half a cell beyond the box still takes part in the fade of the outermost cells.
    left, right = max(0, math.floor(x1 - cell_x / 2)), min(width, math.ceil(x2 + cell_x / 2))
    top, bottom = max(0, math.floor(y1 - cell_y / 2)), min(height, math.ceil(y2 + cell_y / 2))
    if right <= left or bottom <= top:
        return None
    # Destination pixel centre -> source cell index, for cv2.warpAffine's inverse map.
    matrix = np.array(
        [
            [1 / cell_x, 0, (left + 0.5 - x1) / cell_x - 0.5],
            [0, 1 / cell_y, (top + 0.5 - y1) / cell_y - 0.5],
        ]
    )
    soft = cv2.warpAffine(
        mask,
        matrix,
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return (top, bottom, left, right), np.asarray(soft, np.float32)


def paste_mask(
    mask: NDArray[np.float32],
    box: NDArray[np.float32],
    width: int,
    height: int,
    threshold: float,
) -> tuple[Window, NDArray[np.bool_]] | None:
    """Like `resample_mask`, thresholded: bool of the window's size, True where it is the object."""
    resampled = resample_mask(mask, box, width, height)
    if resampled is None:
        return None
    window, soft = resampled
    return window, soft > threshold
