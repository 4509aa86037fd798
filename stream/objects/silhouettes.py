"""How like two silhouettes are, within and along their edges."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


class Likeness(NamedTuple):
    """How like two silhouettes are, 0..1 each.

    Attributes:
        iou: their intersection over their union.
        one: F, both ways, of the contours that lie within one pixel of the other's.
        two: the same within two pixels.
    """

    iou: float
    one: float
    two: float


def likeness(found: Mask, true: Mask) -> Likeness:
    """How like two silhouettes are; the picture's rim is no contour."""
    union = np.count_nonzero(found | true)
    iou = np.count_nonzero(found & true) / union if union else 1.0
    one, other = contour(found), contour(true)
    return Likeness(iou, *(_f(one, other, reach) for reach in (1, 2)))


def contour(mask: Mask) -> Mask:
    """The pixels of a mask that touch a pixel outside it; the picture's rim is inside."""
    inner = cv2.erode(mask.view(np.uint8), np.ones((3, 3), np.uint8))
    return np.asarray(mask & (inner == 0), np.bool_)


def _f(one: Mask, other: Mask, reach: int) -> float:
    if not one.any() or not other.any():
        return float(one.any() == other.any())
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    near_one = cv2.dilate(one.view(np.uint8), disc) > 0
    near_other = cv2.dilate(other.view(np.uint8), disc) > 0
    precision = np.count_nonzero(one & near_other) / np.count_nonzero(one)
    recall = np.count_nonzero(other & near_one) / np.count_nonzero(other)
    return 2 * precision * recall / max(precision + recall, 1e-9)
