"""Which of two sets of boxes belong together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances
from stream.roi import mask_window, threshold_mask

Boxes = NDArray[np.float32]

LIVING = frozenset(
    {"person", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra"}
    | {"giraffe"}
)
"""Classes of COCO that live; others are things, and what other models call their classes."""


def buffered_iou(first: Boxes, second: Boxes, share: NDArray[np.float32] | float) -> Boxes:
    """IoU of boxes that are enlarged on every side, float32 (N, M) in 0..1.

    Small things move by more than their size between two pictures: boxes that no longer overlap
    are still told apart by how near they are (Yang et al., "Hard to Track Objects with Irregular
    Motions and Similar Appearances? Make It Easier by Buffering the Matching Space", WACV 2023).

    Args:
        first: float32 (N, 4).
        second: float32 (M, 4).
        share: by how much of a box's mean side each side moves out; a number, or one for each of
            `second` (M,), by which all of `first` are enlarged in comparison with it.
    """
    shares = np.broadcast_to(np.asarray(share, np.float32), len(second))
    margin = _mean_sides(first)[:, None] * shares
    theirs = _mean_sides(second) * shares
    shared = np.ones(margin.shape, np.float32)
    areas = np.ones(margin.shape, np.float32)
    others = np.ones(len(second), np.float32)
    for low, high in ((0, 2), (1, 3)):
        start, end = first[:, low, None] - margin, first[:, high, None] + margin
        their_start, their_end = second[:, low] - theirs, second[:, high] + theirs
        shared *= np.clip(np.minimum(end, their_end) - np.maximum(start, their_start), 0, None)
        areas *= end - start
        others *= their_end - their_start
    union = np.maximum(areas + others - shared, np.float32(1e-6))
    return np.asarray(shared / union, np.float32)


def _mean_sides(boxes: Boxes) -> NDArray[np.float32]:
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3)
    return np.asarray(np.sqrt(size.prod(axis=1)), np.float32)


def best_pairs(similarity: NDArray[np.float32], least: float) -> Iterator[tuple[int, int]]:
    """Pairs of rows and columns, the most similar first, each row and column once at most.

    Args:
        similarity: float32 (N, M).
        least: pairs that are no more similar than this do not belong together.
    """
    left = similarity.copy()
    while left.size:
        row, column = (int(place) for place in np.unravel_index(left.argmax(), left.shape))
        if left[row, column] <= least:
            return
        yield row, column
        left[row] = left[:, column] = -np.inf


def with_part(instances: Instances, index: int, part: int) -> Instances:
    """The same, one's mask with what another's adds to it within the frame of the first."""
    (left, top, right, bottom), theirs = instances.paste_boxes[[index, part]]
    size = np.maximum(theirs[2:] - theirs[:2], 1e-3)
    rows, columns = instances.masks.shape[1:]
    cells = np.array([columns, rows], np.float32)
    # Where in the part's mask each cell of the whole's lies, by the cells' middles.
    scale = np.array([right - left, bottom - top]) / size
    shift = (np.array([left, top]) - theirs[:2]) / size * cells + 0.5 * scale - 0.5
    place = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
    added = cv2.warpAffine(
        instances.masks[part], place, (columns, rows), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    masks = instances.masks.copy()
    masks[index] = np.maximum(masks[index], added)
    return replace(instances, masks=masks)


def mask_cover(instances: Instances, index: int, other: int) -> tuple[float, float]:
    """How much of one instance's mask another one's covers, and the IoU of both masks; 0..1."""
    height, width = instances.picture_size
    threshold = instances.mask_threshold
    box, mask = instances.paste_boxes[index], instances.masks[index]
    rows, columns = mask.shape
    window = mask_window(box, (rows, columns), width, height, threshold)
    if window is None:
        return 0.0, 0.0
    inside = threshold_mask(mask, box, window, threshold)
    theirs = instances.paste_boxes[other]
    if not (theirs[2:] > theirs[:2]).all():
        return 0.0, 0.0
    covering = threshold_mask(instances.masks[other], theirs, window, threshold)
    shared = np.count_nonzero(inside & covering)
    if not shared:
        return 0.0, 0.0
    area = np.count_nonzero(inside)
    return shared / area, shared / (area + instances[other].area - shared)
