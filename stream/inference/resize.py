"""Resizing an RGB picture the way a model's origin did it."""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.models.contract import Interpolation

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
def _triangle(source: int, target: int) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
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
    whole = np.floor(weights * (1 << _PIL_BITS) + 0.5).astype(np.int64)
    return np.minimum(index, source - 1).astype(np.intp), whole


def _pillow(rgb: Rgb, width: int, height: int) -> Rgb:
    for axis, target in ((1, width), (0, height)):
        if rgb.shape[axis] == target:
            continue
        index, weights = _triangle(rgb.shape[axis], target)
        shape = (1, target, 1) if axis == 1 else (target, 1, 1)
        # A sum of levels times 2^22 stays below 2^31, as in Pillow.
        total: NDArray[np.int32] = np.full(
            (*rgb.shape[:axis], target, *rgb.shape[axis + 1 :]), 1 << (_PIL_BITS - 1), np.int32
        )
        for taken, weight in zip(index, weights.astype(np.int32), strict=True):
            total += rgb.take(taken, axis=axis) * weight.reshape(shape)
        rgb = np.clip(total >> _PIL_BITS, 0, 255).astype(np.uint8)
    return rgb


def _tensorflow(rgb: Rgb, width: int, height: int) -> Rgb:
    # Float arithmetic in TensorFlow's order: rows are blended after columns.
    left, right, across = _lerp(rgb.shape[1], width)
    top, bottom, down = _lerp(rgb.shape[0], height)
    across, down = across[None, :, None], down[:, None, None]

    def columns(rows: NDArray[np.intp]) -> NDArray[np.float32]:
        taken = rgb[rows].astype(np.float32)
        start = taken[:, left]
        return start + (taken[:, right] - start) * across

    upper = columns(top)
    blended = upper + (columns(bottom) - upper) * down
    return np.clip(np.rint(blended), 0, 255).astype(np.uint8)


def _lerp(
    source: int, target: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    at = np.arange(target, dtype=np.float32) * np.float32(source / target)
    low = np.minimum(at.astype(np.intp), source - 1)
    return low, np.minimum(low + 1, source - 1), (at - low).astype(np.float32)
