"""Which of a frame's objects is in front where their masks overlap."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances
from stream.roi import Window

_WITHIN = 0.5
"""What lies to this share within the mask of something larger was seen there, so it is in front."""

_FAR = 1e6
"""Pixels from which on it does not matter how far away a box reaches."""

_ALIKE = 0.8
"""From this share of the other's area on nothing is larger: areas of one size change places."""


def stacked(instances: Instances, threshold: float) -> list[int]:
    """The places of a frame's objects, what is farthest behind first.

    A ball before a man is in front of him, however sure each of them is. Of others that overlap,
    whoever was there first is in front: scores change places from frame to frame, and so would
    the colour of what two masks share. Where nothing is followed the surer one is.

    Args:
        instances: of one frame, best first.
        threshold: above what a soft mask is the object, 0..1.
    """
    count = len(instances)
    ranks = np.arange(count) if instances.track_ids is None else instances.track_ids
    order = sorted(range(count), key=lambda index: (-int(ranks[index]), -index))
    before = _behind_it(instances, threshold)
    if not before:
        return order
    placed: list[int] = []
    while order:
        # The farthest behind that has nothing larger behind it any more; areas form no circle.
        waiting = set(order)
        index = next(one for one in order if not before.get(one, set()) & waiting)
        order.remove(index)
        placed.append(index)
    return placed


def _behind_it(instances: Instances, threshold: float) -> dict[int, set[int]]:
    """For objects that lie within larger ones, which those are."""
    if len(instances) < 2:
        return {}
    boxes = np.clip(np.nan_to_num(instances.paste_boxes.astype(np.float64)), -_FAR, _FAR)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    sizes = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-6)
    near = shared > 0
    np.fill_diagonal(near, False)
    if not near.any():
        return {}
    inside = (instances.masks > threshold).view(np.uint8)
    cells = np.array([cv2.countNonZero(mask) for mask in inside])
    areas = cells / inside[0].size * sizes
    # A mask fills a part of its box only, so that its box may lie there to a lesser share.
    least = _WITHIN * areas / sizes
    maybe = near & (shared > least[:, None] * sizes[:, None])
    maybe &= areas[:, None] < _ALIKE * areas[None]
    found: dict[int, set[int]] = {}
    for small, large in np.argwhere(maybe).tolist():
        if _covered(inside[small], boxes[small], inside[large], boxes[large]) > _WITHIN:
            found.setdefault(small, set()).add(large)
    return found


def _covered(
    mask: NDArray[np.uint8],
    box: NDArray[np.float64],
    other: NDArray[np.uint8],
    theirs: NDArray[np.float64],
) -> float:
    """Which share of a mask's cells lies within another mask, by their middles; 0..1."""
    rows, columns = mask.shape
    cells = np.array([columns, rows])
    size = np.maximum(theirs[2:] - theirs[:2], 1e-3)
    scale = (box[2:] - box[:2]) / size
    shift = (box[:2] - theirs[:2]) / size * cells + 0.5 * scale - 0.5
    place = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    there = cv2.warpAffine(other, place, (columns, rows), flags=flags)
    count = cv2.countNonZero(mask)
    return cv2.countNonZero(cv2.bitwise_and(mask, there)) / count if count else 0.0


def in_front(order: Sequence[int], index: int, boxes: NDArray[np.float32]) -> list[int]:
    """Who is in front of an object, as far as their boxes meet.

    Args:
        order: as `stacked` says it.
        index: the object's.
        boxes: float32 [N, 4], where masks lie.
    """
    others = list(order[order.index(index) + 1 :])
    low = np.maximum(boxes[others, :2], boxes[index, :2])
    high = np.minimum(boxes[others, 2:], boxes[index, 2:])
    meets = np.all(low < high, axis=1)
    return [other for other, there in zip(others, meets, strict=True) if there]


def hide(
    inside: NDArray[np.uint8], window: Window, front: NDArray[np.uint8], theirs: Window
) -> None:
    """Takes out of a mask what another that is in front of it covers.

    Args:
        inside: uint8 1 or 0, the mask, which is changed.
        window: where it lies in the picture.
        front: uint8 1 or 0, the other one.
        theirs: where that lies.
    """
    top, bottom = max(window[0], theirs[0]), min(window[1], theirs[1])
    left, right = max(window[2], theirs[2]), min(window[3], theirs[3])
    if top >= bottom or left >= right:
        return
    own, other = (
        mask[top - place[0] : bottom - place[0], left - place[2] : right - place[2]]
        for mask, place in ((inside, window), (front, theirs))
    )
    np.greater(own, other, out=own.view(np.bool_))
