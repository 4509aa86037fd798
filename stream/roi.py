"""From a small soft mask in the frame of its box to pixels.

This is the one place that says where a mask's cells lie: `Instances.full_masks`, compositing and
evaluation all use it, so they agree to the pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Window = tuple[int, int, int, int]
"""Rows y1 to y2 and columns x1 to x2 of a picture, ends exclusive."""

_PADDING = 3
"""Cells of zeros around a mask: one before, one after, one more to interpolate towards."""

_STRIP = 24 * 1024
"""Pixels that are sampled at a time: what stays in the processor's cache, and in memory that the
C library hands out again without asking the system for it, which costs more than the work."""


def mask_window(
    box: NDArray[np.float32],
    cells: tuple[int, int],
    width: int,
    height: int,
    threshold: float = 0.0,
) -> Window | None:
    """The part of a picture that a mask can reach: its box and half a cell around it.

    Args:
        box: float32 [4], x1, y1, x2, y2 in pixels of the picture.
        cells: rows and columns of the mask.
        width: the picture's width in pixels.
        height: the picture's height in pixels.
        threshold: leave out where a mask of 0..1 cannot be above this.

    Returns:
        The window, clipped to the picture; None where the box is empty, not finite or outside.
    """
    x1, y1, x2, y2 = box.tolist()
    if not (x2 > x1 and y2 > y1 and math.isfinite(x2 - x1) and math.isfinite(y2 - y1)):
        return None
    # Outermost cells have their centres half a cell inside the box and fade over one cell.
    reach = 0.5 - threshold
    fade_y, fade_x = (y2 - y1) / cells[0] * reach, (x2 - x1) / cells[1] * reach
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
    top, bottom, left, right = window
    soft = np.empty((bottom - top, right - left), np.float32)
    for rows, strip in soft_strips(mask, box, window):
        soft[rows] = strip
    return soft


def threshold_mask(
    mask: NDArray[np.float32],
    box: NDArray[np.float32],
    window: Window,
    threshold: float,
    out: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Where `sample_mask` is above a threshold, without making the whole soft mask.

    Args:
        mask: float32 [M, M], 0..1.
        box: float32 [4], x1, y1, x2, y2 in pixels of the picture; not empty, finite.
        window: any window; the mask is zero where it does not reach.
        threshold: 0..1.
        out: bool of the window's size to write to.

    Returns:
        `out`, or a new bool array of the window's size.
    """
    top, bottom, left, right = window
    inside = np.empty((bottom - top, right - left), np.bool_) if out is None else out
    for rows, strip in soft_strips(mask, box, window):
        np.greater(strip, threshold, out=inside[rows])
    return inside


def paste_mask(
    mask: NDArray[np.float32],
    box: NDArray[np.float32],
    width: int,
    height: int,
    threshold: float,
) -> tuple[Window, NDArray[np.bool_]] | None:
    """Resamples a mask to the pixels of its box, and says which of them are the object.

    Args:
        mask: float32 [M, M], 0..1.
        box: float32 [4], x1, y1, x2, y2 in pixels of the picture.
        width: the picture's width in pixels.
        height: the picture's height in pixels.
        threshold: above which a soft mask is the object, 0..1.

    Returns:
        The window of the picture that the mask touches, and bool of the window's size; None where
        the box is empty, not finite or outside the picture.
    """
    rows, columns = mask.shape
    window = mask_window(box, (rows, columns), width, height, threshold)
    if window is None:
        return None
    return window, threshold_mask(mask, box, window, threshold)


def soft_strips(
    mask: NDArray[np.float32], box: NDArray[np.float32], window: Window
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """The soft mask of a window from top to bottom: rows, and float32 of those, soon overwritten.

    Bilinear sampling is separable: first across, M rows of it, then down. It is written out here
    because cv2.resize knows no fractional offsets, OpenCV 4's warpAffine rounds positions to 1/32
    of a cell, which shows as steps on large boxes, and OpenBLAS starts threads for a product of
    two matrices of weights, which on a busy machine makes a mask take milliseconds. Strips keep
    the numbers in the processor's cache.
    """
    x1, y1, x2, y2 = box.tolist()
    top, bottom, left, right = window
    rows, columns = mask.shape
    padded = np.zeros((columns + _PADDING, rows + _PADDING), np.float32)
    padded[1 : columns + 1, 1 : rows + 1] = mask.T
    cell, part = _positions(left, right, x1, x2, columns)
    across = padded.take(cell, axis=0)
    step = padded.take(cell + 1, axis=0)
    step -= across
    step *= part[:, None]
    across += step
    across = np.ascontiguousarray(across.T)
    below = across[1:] - across[:-1]

    cell, part = _positions(top, bottom, y1, y2, rows)
    height, width = len(cell), right - left
    many = max(1, min(height, _STRIP // width))
    soft, base_values = (np.empty((many, width), np.float32) for _ in range(2))
    for start in range(0, height, many):
        stop = min(start + many, height)
        strip, base = soft[: stop - start], base_values[: stop - start]
        # `mode` only because with the default one numpy copies its output once more.
        below.take(cell[start:stop], axis=0, out=strip, mode="clip")
        across.take(cell[start:stop], axis=0, out=base, mode="clip")
        strip *= part[start:stop, None]
        strip += base
        yield slice(start, stop), strip


def _positions(
    first: int, last: int, low: float, high: float, cells: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Between which cells each pixel's centre lies, along one axis.

    Returns:
        The index of the cell before it, counted with one cell of padding in front, and the
        position from that cell's centre to the next one's, 0..1: each [last - first].
    """
    position = np.arange(first, last, dtype=np.float64)
    position += 0.5 - low
    position *= cells / (high - low)
    position += 0.5
    # Farther out than the padding's centre the mask is zero all the same.
    np.maximum(position, 0, out=position)
    np.minimum(position, cells + 1, out=position)
    cell = position.astype(np.intp)
    position -= cell
    return cell, position.astype(np.float32)
