"""Outlines of objects: rings in pixels, the union of which is a mask."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Polygons = list[NDArray[np.float32]]
"""Rings float32 (N, 2) of x, y in pixels; what lies in any of them is inside."""


def draw(polygons: Polygons, canvas: NDArray[np.uint8], value: int) -> None:
    """Fill the union of `polygons` (pixels of `canvas`, H by W) with `value`, in place."""
    for ring in polygons:
        points = np.round(ring * 16.0 - 8.0).astype(np.int32)
        cv2.fillPoly(canvas, [points], value, cv2.LINE_8, 4)


def scaled(polygons: Polygons, factor: float) -> Polygons:
    """Polygons with every coordinate multiplied by `factor`."""
    out: Polygons = []
    for ring in polygons:
        out.append(np.multiply(ring, factor, dtype=np.float32))
    return out


def outline(mask: NDArray[np.uint8]) -> Polygons:
    """The outer rings of a mask (H, W), nonzero inside, as polygons in pixels."""
    # A contour runs through the centres of the border pixels, half a pixel inside the edge; at
    # twice the size it is only a quarter.
    x, y, width, height = cv2.boundingRect(mask)
    part = mask[y : y + height, x : x + width]
    double = np.asarray(np.repeat(np.repeat(part, 2, axis=0), 2, axis=1), np.uint8)
    rings, _ = cv2.findContours(double, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    corner = np.array([x + 0.25, y + 0.25])
    return [np.asarray(ring[:, 0] / 2 + corner, np.float32) for ring in rings if len(ring) >= 3]
