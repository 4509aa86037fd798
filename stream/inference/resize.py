"""Resizing an RGB picture the way a model's origin did it."""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.inference.contract import Interpolation

Rgb = NDArray[np.uint8]


def resize_rgb(rgb: Rgb, width: int, height: int, interpolation: Interpolation) -> Rgb:
    """Resizes uint8 [H, W, 3] to uint8 [height, width, 3].

    - `bilinear`: two taps per axis at half-pixel centres, no antialiasing, as torch's
      `interpolate(mode="bilinear", align_corners=False)`; to one level (OpenCV rounds in between).
    - `area`: the mean of the pixels covered when both axes shrink (OpenCV's INTER_AREA), else as
      `bilinear`.
    - `pil_bilinear`: equal to Pillow's `resize(..., BILINEAR)`, which widens its triangle when
      shrinking (columns first; since version 13 Pillow may take rows first, one level apart).
    - `tf_bilinear`: TensorFlow 1's `resize_bilinear` with its defaults (source = destination x
      scale, no half pixel), rounded to whole levels.
    """
    if rgb.shape[:2] == (height, width):
        return rgb
    if interpolation == "pil_bilinear":
        return _pillow(rgb, width, height)
    if interpolation == "tf_bilinear":
        return _tensorflow(rgb, width, height)
    shrinks = height <= rgb.shape[0] and width <= rgb.shape[1]
    method = cv2.INTER_AREA if interpolation == "area" and shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=method), np.uint8)


# Pillow's Resample.c: weights are whole numbers of 2^-22, each pass rounds to 8 bits.
_PIL_BITS = 32 - 8 - 2


@functools.lru_cache(maxsize=16)
def _triangle(source: int, target: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Pillow's taps for one axis: indices and weights, both [taps, target]."""
    scale = source / target
    support = max(scale, 1.0)
    centres = (np.arange(target) + 0.5) * scale
    first = np.maximum((centres - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centres + support + 0.5).astype(np.int64), source)
    taps = np.arange(int((last - first).max()))[:, None]
    index = first + taps
    weights = np.maximum(0.0, 1.0 - np.abs((index - centres + 0.5) / support))
    weights = np.where(index < last, weights, 0.0)
    weights /= weights.sum(axis=0)
    whole = np.floor(weights * (1 << _PIL_BITS) + 0.5).astype(np.int32)
    return np.minimum(index, source - 1).astype(np.intp), whole


# Rows that are worked on at a time: what lies in between then stays in a core's cache. 1280x720 to
# 1333x750 on an AMD EPYC (Zen 5): Pillow's way 26 ms instead of 57, TensorFlow's 21 instead of 119.
_ROWS = 16


def _pillow(rgb: Rgb, width: int, height: int) -> Rgb:
    if rgb.shape[1] != width:
        index, weights = _triangle(rgb.shape[1], width)
        columns = np.empty((rgb.shape[0], width, 3), np.uint8)
        for top in range(0, rgb.shape[0], _ROWS):
            rows = rgb[top : top + _ROWS].astype(np.int32)
            # A sum of levels times 2^22 stays below 2^31, as in Pillow.
            total = np.full((len(rows), width, 3), 1 << (_PIL_BITS - 1), np.int32)
            for taken, weight in zip(index, weights, strict=True):
                total += rows.take(taken, axis=1) * weight[None, :, None]
            columns[top : top + _ROWS] = np.clip(total >> _PIL_BITS, 0, 255)
        rgb = columns
    if rgb.shape[0] != height:
        index, weights = _triangle(rgb.shape[0], height)
        result = np.empty((height, width, 3), np.uint8)
        for top in range(0, height, _ROWS):
            block = slice(top, top + _ROWS)
            total = np.full(result[block].shape, 1 << (_PIL_BITS - 1), np.int32)
            for taken, weight in zip(index[:, block], weights[:, block], strict=True):
                total += rgb[taken].astype(np.int32) * weight[:, None, None]
            result[block] = np.clip(total >> _PIL_BITS, 0, 255)
        rgb = result
    return rgb


def _tensorflow(rgb: Rgb, width: int, height: int) -> Rgb:
    left, right, across = _lerp(rgb.shape[1], width)
    top, bottom, down = _lerp(rgb.shape[0], height)
    result = np.empty((height, width, 3), np.uint8)
    for start in range(0, height, _ROWS):
        block = slice(start, start + _ROWS)
        rows = rgb[top[block]].astype(np.float32)
        rows += (rgb[bottom[block]] - rows) * down[block, None, None]
        blended = rows.take(left, axis=1)
        blended += (rows.take(right, axis=1) - blended) * across[None, :, None]
        result[block] = np.rint(blended)
    return result


def _lerp(
    source: int, target: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For one axis: the pixels before and after each target pixel, and how far it is between."""
    at = np.arange(target, dtype=np.float32) * np.float32(source / target)
    low = np.minimum(at.astype(np.intp), source - 1)
    return low, np.minimum(low + 1, source - 1), (at - low).astype(np.float32)
