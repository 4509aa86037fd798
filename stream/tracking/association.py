"""Which of two sets of boxes belong together."""

from __future__ import annotations

from collections.abc import Iterator

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


Placed = tuple[NDArray[np.float32], Boxes]
"""A soft mask, float32 [M, M] of 0..1, and the box [4] in whose frame it lies."""


def united(instances: Instances, index: int, part: int) -> Placed:
    """One's mask and another's as one, in the frame of the first or, if need be, of both."""
    own, theirs = instances.paste_boxes[[index, part]]
    frame = own.copy()
    frame[:2], frame[2:] = np.minimum(own[:2], theirs[:2]), np.maximum(own[2:], theirs[2:])
    mask = instances.masks[index]
    if (frame != own).any():
        mask = _reframed(mask, own, frame)
    return np.maximum(mask, _reframed(instances.masks[part], theirs, frame)), frame


def _reframed(mask: NDArray[np.float32], box: Boxes, frame: Boxes) -> NDArray[np.float32]:
    """A mask in the frame of one box as it is in that of another, with as many cells."""
    rows, columns = mask.shape
    size = np.maximum(box[2:] - box[:2], 1e-3)
    cells = np.array([columns, rows], np.float32)
    # Where in the mask each cell of the new frame lies, by the cells' middles.
    scale = (frame[2:] - frame[:2]) / size
    shift = (frame[:2] - box[:2]) / size * cells + 0.5 * scale - 0.5
    place = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(mask, place, (columns, rows), flags=flags), np.float32)


def mask_cover(instances: Instances, index: int, other: int) -> tuple[float, float]:
    """How much of one instance's mask another one's covers, and the IoU of both masks; 0..1."""
    theirs = instances.masks[other], instances.paste_boxes[other]
    area, shared = _shared(instances, index, theirs)
    if not shared:
        return 0.0, 0.0
    return shared / area, shared / (area + instances[other].area - shared)


def covered_by(instances: Instances, index: int, placed: Placed) -> float:
    """How much of an instance's mask another mask covers, 0..1."""
    area, shared = _shared(instances, index, placed)
    return shared / area if shared else 0.0


def _shared(instances: Instances, index: int, placed: Placed) -> tuple[int, int]:
    """How many pixels are an instance's, and how many of them another mask's as well."""
    height, width = instances.picture_size
    threshold = instances.mask_threshold
    box, mask = instances.paste_boxes[index], instances.masks[index]
    rows, columns = mask.shape
    window = mask_window(box, (rows, columns), width, height, threshold)
    theirs = placed[1]
    if window is None or not (theirs[2:] > theirs[:2]).all():
        return 0, 0
    inside = threshold_mask(mask, box, window, threshold)
    covering = threshold_mask(placed[0], theirs, window, threshold)
    return int(np.count_nonzero(inside)), int(np.count_nonzero(inside & covering))
