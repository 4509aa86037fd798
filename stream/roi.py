"""From a small soft mask in the frame of its box to pixels.

This is the one place that says where a mask's cells lie: `Instances.full_masks`, compositing and
evaluation all use it, so they agree to the pixel.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Window = tuple[int, int, int, int]
"""Rows y1 to y2 and columns x1 to x2 of a picture, ends exclusive."""

_UNTHREADED = 1 << 18


def mask_window(
    box: NDArray[np.float32], cells: tuple[int, int], width: int, height: int
) -> Window | None:
    """The part of a picture that a mask can reach: its box and half a cell around it.

    Args:
        box: float32 [4], x1, y1, x2, y2 in pixels of the picture.
        cells: rows and columns of the mask.
        width: the picture's width in pixels.
        height: the picture's height in pixels.

    Returns:
        The window, clipped to the picture; None where the box is empty, not finite or outside.
    """
    x1, y1, x2, y2 = (float(value) for value in box)
    if not (x2 > x1 and y2 > y1 and math.isfinite(x2 - x1) and math.isfinite(y2 - y1)):
        return None
    # Half a cell beyond the box still takes part in the fade of the outermost cells.
    fade_y, fade_x = (y2 - y1) / cells[0] / 2, (x2 - x1) / cells[1] / 2
    left, right = max(0, math.floor(x1 - fade_x)), min(width, math.ceil(x2 + fade_x))
    top, bottom = max(0, math.floor(y1 - fade_y)), min(height, math.ceil(y2 + fade_y))
    if right <= left or bottom <= top:
        return None
    return top, bottom, left, right


def sample_mask(
    mask: NDArray[np.float32], box: NDArray[np.float32], window: Window
) -> NDArray[np.float32]:
    """Samples a soft mask at the pixels of a window, bilinearly.

    Cell (i, j) of an M x M mask covers the box evenly: its centre lies at
    x1 + (j + 0.5) / M * (x2 - x1). A pixel's value is taken at its centre; beyond the outermost
    cell centres the mask fades to zero over one cell, as Mask R-CNN's pasting with one cell of
    zero padding does (torchvision, `paste_masks_in_image`; Detectron, `expand_boxes`).

    Args:
        mask: float32 [M, M], 0..1.
        box: float32 [4], x1, y1, x2, y2 in pixels of the picture; not empty, finite.
        window: any window; the mask is zero where it does not reach.

    Returns:
        float32 of the window's size, 0..1.
    """
    x1, y1, x2, y2 = (float(value) for value in box)
    top, bottom, left, right = window
    rows = _weights(top, bottom, y1, y2, mask.shape[0])
    columns = _weights(left, right, x1, x2, mask.shape[1])
    # Bilinear sampling is separable. Two products of thin matrices are exact to float32 at any
    # scale, where cv2.resize knows no fractional offsets and OpenCV 4's warpAffine rounds
    # positions to 1/32 of a cell, which shows as steps on large boxes.
    across = mask @ columns.T
    soft = np.empty((len(rows), len(columns)), np.float32)
    # In strips, because numpy's OpenBLAS starts threads for products of more than 2^18 terms, and
    # waiting for those on a busy machine takes many times as long as the product itself.
    strip = max(1, _UNTHREADED // max(1, across.size))
    for start in range(0, len(rows), strip):
        np.matmul(rows[start : start + strip], across, out=soft[start : start + strip])
    return soft


def resample_mask(
    mask: NDArray[np.float32], box: NDArray[np.float32], width: int, height: int
) -> tuple[Window, NDArray[np.float32]] | None:
    """Resamples a soft mask to the pixels of its box: `sample_mask` over `mask_window`.

    Args:
        mask: float32 [M, M], 0..1.
        box: float32 [4], x1, y1, x2, y2 in pixels of the picture.
        width: the picture's width in pixels.
        height: the picture's height in pixels.

    Returns:
        The window of the picture that the mask touches and the soft mask there, float32 of the
        window's size; None where the box is empty, not finite or outside the picture.
    """
    rows, columns = mask.shape
    window = mask_window(box, (rows, columns), width, height)
    if window is None:
        return None
    return window, sample_mask(mask, box, window)


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


def _weights(first: int, last: int, low: float, high: float, cells: int) -> NDArray[np.float32]:
    """How much each cell counts at each pixel of one axis: float32 [last - first, cells].

    A hat of one cell's width to either side of a cell's centre, which is linear interpolation and,
    where no neighbour is left, the fade to zero.
    """
    position = (np.arange(first, last) + (0.5 - low)) * (cells / (high - low)) - 0.5
    # Far outside everything is zero; clipped, a huge position still fits float32.
    near = np.minimum(np.maximum(position, -2), cells + 1).astype(np.float32)
    weights: NDArray[np.float32] = np.subtract.outer(near, np.arange(cells, dtype=np.float32))
    np.abs(weights, out=weights)
    np.subtract(1, weights, out=weights)
    return np.maximum(weights, 0, out=weights)
