"""Parts of a picture in squares, too coarse for anybody to be recognised."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np

from stream.compositing.planes import Samples
from stream.roi import Window
from stream.types import Array

_RUNG = 1.25
"""From one size of squares to the next."""
IN_OBJECT = 8
"""Squares along an object, at most."""


def coarse(
    samples: Samples,
    step: tuple[int, int],
    window: Window,
    block: int,
    *,
    smooth: bool,
    opacity: Samples | None = None,
) -> Samples:
    """A part of a plane in squares of one value each, which lie still in the picture.

    Args:
        samples: the whole plane.
        step: rows and columns of luma per sample.
        window: the part of the picture, on the plane's grid.
        block: side of the squares in pixels of luma, a multiple of the steps.
        smooth: whether values go over into each other between the squares' middles.
        opacity: how opaque the plane's samples are, uint8 of its shape: what is clear counts for
            nothing; None where all are wholly so.

    Returns:
        Samples of the part's size.
    """
    rows, columns = block // step[0], block // step[1]
    top, bottom = window[0] // step[0], -(-window[1] // step[0])
    left, right = window[2] // step[1], -(-window[3] // step[1])
    # Whole squares, as far as there is any of them.
    above, before = top - top % rows, left - left % columns
    whole = np.s_[above : bottom + -bottom % rows, before : right + -right % columns]
    small = _averages(samples[whole], rows, columns)
    if opacity is not None:
        small = _opaque(samples[whole], opacity[whole], small, rows, columns)
    if smooth:
        shape = (small.shape[1] * columns, small.shape[0] * rows)
        large: Array = cv2.resize(small, shape, interpolation=cv2.INTER_LINEAR)
    else:
        # Across first: whole rows are repeated by copying.
        large = small.repeat(columns, axis=1).repeat(rows, axis=0)
    return np.asarray(large[top - above : bottom - above, left - before : right - before])


def _averages(samples: Samples, rows: int, columns: int) -> Samples:
    """The mean of each so many rows and columns, of fewer at the end."""
    height, width = samples.shape
    whole, wide = height - height % rows, width - width % columns
    small = np.empty((-(-height // rows), -(-width // columns)), samples.dtype)
    for top, bottom, high in ((0, whole, rows), (whole, height, height % rows)):
        for left, right, broad in ((0, wide, columns), (wide, width, width % columns)):
            if top < bottom and left < right:
                place = np.s_[top // rows : -(-bottom // rows), left // columns :]
                means = _means(samples[top:bottom, left:right], high, broad)
                small[place][:, : means.shape[1]] = means
    return small


def _opaque(samples: Samples, opacity: Samples, means: Samples, rows: int, columns: int) -> Samples:
    """The means of what is opaque, and of all where nothing is."""
    share: Array = opacity.astype(np.float32)
    sums, shares = _averages(samples * share, rows, columns), _averages(share, rows, columns)
    found = np.divide(sums, shares, out=means.astype(np.float32), where=shares > 0)
    made: Array = np.rint(found).astype(means.dtype)
    return made


def _means(samples: Samples, rows: int, columns: int) -> Samples:
    """The mean of each so many rows and columns, whatever is beside them.

    Halving is many times as fast as averaging over any other area, so it is halved first.
    """
    height, width = samples.shape
    means: Array = samples
    while rows % 2 == 0 and columns % 2 == 0:
        rows, columns, height, width = rows // 2, columns // 2, height // 2, width // 2
        means = cv2.resize(means, (width, height), interpolation=cv2.INTER_AREA)
    if (rows, columns) != (1, 1):
        size = (width // columns, height // rows)
        means = cv2.resize(means, size, interpolation=cv2.INTER_AREA)
    return means


@lru_cache(maxsize=256)
def block_size(least: float, longest: float, grid: tuple[int, int]) -> int:
    """The side of squares in pixels: at least an eighth of an object, a multiple of the grid.

    Sizes lie a quarter apart, so that squares do not change with every step towards the camera and
    objects that are about as large have the same.
    """
    least = max(least, 2.0)
    rung = max(0, math.ceil(math.log(max(longest / IN_OBJECT / least, 1e-6), _RUNG) - 1e-9))
    unit = math.lcm(*grid)
    return max(1, math.ceil(least * _RUNG**rung / unit - 1e-9)) * unit
