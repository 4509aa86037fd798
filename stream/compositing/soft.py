"""Soft masks pixel by pixel, and how mattes are made of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.mattes import SLOPE, Edge, Matte, on_grid, wider
from stream.compositing.planes import part
from stream.kernels import compiled
from stream.kernels.edges import WIDEST_SIDE
from stream.roi import Window, mask_window, soft_strips

EDGE = 128
"""A value of at least this is the object's."""

_WIDEST = 0.4
"""Over how much of what a pixel may be, at most, an edge falls off; a wider feather is made by
averaging. Where all that is nearby looks alike the values of a refined mask rise over many pixels:
all of that as opacity was a haze around objects, and holes in them."""


class Soft(NamedTuple):
    """How sure it is of each pixel that it is an object's.

    Attributes:
        window: the part of the picture; outside it, nothing is the object's.
        values: uint8 of the window's size; `EDGE` and above is the object; not to be written to.
        cell: how many pixels lie between two independent values, at least 1.
        doubt: by how many pixels its edge may be off, as the model's masks are that coarse.
    """

    window: Window
    values: NDArray[np.uint8]
    cell: float
    doubt: float


def centred(mask: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """A mask with its threshold moved to 0.5, float32 of its size, 0..1.

    Args:
        mask: float32, 0..1.
        threshold: above this it is the object, 0..1.
    """
    below = np.float32(0.5 / max(threshold, 1e-6))
    above = np.float32(0.5 / max(1 - threshold, 1e-6))
    over = mask - np.float32(threshold)
    return np.asarray(np.where(over < 0, over * below, over * above) + np.float32(0.5), np.float32)


def codes(mask: NDArray[np.float32], box: NDArray[np.float32], window: Window) -> NDArray[np.uint8]:
    """A centred mask at the pixels of a window, uint8: more than 0.5 is `EDGE` and above.

    Args:
        mask: float32 [M, M], 0..1, more than 0.5 where the object is.
        box: float32 [4], where it lies; not empty, finite.
        window: any.
    """
    kernels = compiled()
    if kernels is not None:
        return kernels.soft(mask, box, window, 255, 0)
    top, bottom, left, right = window
    values = np.empty((bottom - top, right - left), np.uint8)
    scaled = mask * np.float32(255)
    for rows, strip in soft_strips(scaled, box, window):
        cv2.convertScaleAbs(strip, dst=values[rows])
    return values


def pasted(
    mask: NDArray[np.float32],
    box: NDArray[np.float32],
    size: tuple[int, int],
    threshold: float,
) -> Soft | None:
    """A mask as the model made it, at full resolution.

    Args:
        mask: float32 [M, M], 0..1.
        box: float32 [4], where it lies, in pixels of the picture; anything, also NaN.
        size: the picture's height and width in pixels.
        threshold: above this it is the object.

    Returns:
        None where it does not touch the picture.
    """
    rows, columns = mask.shape
    window = mask_window(box, (rows, columns), size[1], size[0])
    if window is None:
        return None
    x1, y1, x2, y2 = box.tolist()
    cell = max(1.0, math.sqrt((x2 - x1) * (y2 - y1) / (rows * columns)))
    return Soft(window, codes(centred(mask, threshold), box, window), cell, cell)


def shaped(
    soft: Soft, size: tuple[int, int], edge: Edge
) -> tuple[Window, NDArray[np.uint8]] | None:
    """The matte of one object.

    Its edge falls off over as many pixels as asked; where it is unsure, over more.

    Args:
        soft: the object.
        size: the picture's height and width in pixels.
        edge: how it falls off; `grown` has no meaning here.

    Returns:
        A window of the picture and uint8 of its size; None where no pixel is the object.
    """
    table, side = _falling(soft, edge)
    alpha: NDArray[np.uint8] = np.asarray(cv2.LUT(soft.values, table), np.uint8)
    window = soft.window
    if side:
        window, alpha = _padded(window, alpha, size, side // 2)
        alpha = _faded(alpha, side, edge)
    return (window, alpha) if cv2.countNonZero(alpha) else None


def lay(alpha: NDArray[np.uint8], softs: Iterable[Soft], edge: Edge) -> Matte:
    """The mattes of objects as one.

    Args:
        alpha: uint8 of the picture's size, zeros, which is written to.
        softs: the objects.
        edge: how they fall off; `grown` has no meaning here.
    """
    kernels, size = compiled(), (alpha.shape[0], alpha.shape[1])
    windows: list[Window] = []
    for soft in softs:
        table, side = _falling(soft, edge)
        if kernels is not None and side <= WIDEST_SIDE:
            place, held = soft.window[::2], edge.held and side > 1
            if kernels.fall(soft.values, place, table, max(1, side), alpha, held=held):
                windows.append(wider(soft.window, size, side // 2))
            continue
        made = shaped(soft, size, edge)
        if made is not None:
            there = part(alpha, (1, 1), made[0])
            cv2.max(there, made[1], dst=there)
            windows.append(made[0])
    return Matte(alpha, windows)


def _faded(alpha: NDArray[np.uint8], side: int, edge: Edge) -> NDArray[np.uint8]:
    """A matte that is averaged over a square."""
    wide = cv2.blur(alpha, (side, side), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.maximum(alpha, cv2.add(wide, wide)) if edge.held else wide, np.uint8)


def _falling(soft: Soft, edge: Edge) -> tuple[NDArray[np.uint8], int]:
    """How an edge falls off by the values, uint8 [256], and over what square it is averaged."""
    # Rounded, so that tables can be kept.
    widest = _WIDEST / 2 if edge.held else _WIDEST
    band = min(widest, max(1e-3, round(edge.feather * SLOPE / soft.cell, 3)))
    rest = edge.feather - band / SLOPE * soft.cell
    side = 0 if rest < 1 else 2 * math.ceil(rest / 2) + 1
    return _fall(0.5 - (band if edge.held else band / 2), band), side


@lru_cache(maxsize=256)
def _fall(low: float, band: float) -> NDArray[np.uint8]:
    level = (np.arange(256, dtype=np.float64) - EDGE + 0.5) / 255 + 0.5
    return np.rint(255 * np.clip((level - low) / band, 0, 1)).astype(np.uint8)


def whole(
    soft: Soft,
    size: tuple[int, int],
    allocate: Callable[[int], NDArray[np.bool_]],
    grid: tuple[int, int],
    margin: int,
) -> tuple[Window, NDArray[np.uint8]] | None:
    """Where an object is, pixel by pixel, as `masks.paste` gives it.

    Args:
        soft: the object.
        size: the picture's height and width in pixels.
        allocate: gives memory for so many pixels.
        grid: rows and columns on which the window starts, and ends unless the picture ends.
        margin: pixels to add around.

    Returns:
        The window and the object there, uint8 1 or 0; None where no pixel is the object.
    """
    top, bottom, left, right = soft.window
    outer = on_grid(wider(soft.window, size, margin), size, grid)
    shape = (outer[1] - outer[0], outer[3] - outer[2])
    inside = allocate(shape[0] * shape[1]).reshape(shape)
    inside.fill(False)
    there = inside[top - outer[0] : bottom - outer[0], left - outer[2] : right - outer[2]]
    np.greater_equal(soft.values, EDGE, out=there)
    return (outer, inside.view(np.uint8)) if there.any() else None


def _padded(
    window: Window, alpha: NDArray[np.uint8], size: tuple[int, int], margin: int
) -> tuple[Window, NDArray[np.uint8]]:
    """The same with zeros around, as far as the picture reaches."""
    top, bottom, left, right = window
    around = wider(window, size, margin)
    padded = cv2.copyMakeBorder(
        alpha,
        top - around[0],
        around[1] - bottom,
        left - around[2],
        around[3] - right,
        cv2.BORDER_CONSTANT,
        value=0,
    )
    return around, np.asarray(padded, np.uint8)
