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


def cut(polygons: Polygons, box: tuple[float, float, float, float]) -> Polygons:
    """What of `polygons` lies in `box` (x1, y1, x2, y2).

    A ring is cut by one side of the box after the other (Sutherland and Hodgman, 1974): parts of a
    ring that come apart stay joined along the box's edge, where they enclose nothing.
    """
    out: Polygons = []
    for ring in polygons:
        points = ring.astype(np.float64)
        for axis, limit, sign in ((0, box[0], 1), (1, box[1], 1), (0, box[2], -1), (1, box[3], -1)):
            points = _half(points, axis, limit, sign)
        if len(points) >= 3:
            out.append(points.astype(np.float32))
    return out


def _half(points: NDArray[np.float64], axis: int, limit: float, sign: int) -> NDArray[np.float64]:
    """The ring cut to where `sign` times (coordinate - limit) is not negative."""
    kept: list[NDArray[np.float64]] = []
    depth = sign * (points[:, axis] - limit)
    for index in range(len(points)):
        before, here = depth[index - 1], depth[index]
        if (before < 0) != (here < 0):
            share = before / (before - here)
            kept.append(points[index - 1] + share * (points[index] - points[index - 1]))
        if here >= 0:
            kept.append(points[index])
    return np.array(kept, np.float64).reshape(-1, 2)
