"""Moving instances from the picture they were found in to a later one."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances
from stream.motion.flow import Flow

_EDGE = 0.15
"""Share of an object's extent that tells how its edge moves."""

_ROUNDS = 3
"""Steps of the fixed-point iteration that inverts the motion at a mask's cells."""

_BLUR, _SHARPNESS, _SPREAD = 1.0, 8.0, 1.0
"""How inner cells are told from outer ones, and how far they fill; in cells."""

_LEAST_SIZE = 2.0
"""Pixels. A box that has become narrower than this is gone."""


def propagate(instances: Instances, flow: Flow) -> Instances:
    """Moves instances along a flow.

    Each side of a box moves as the part of the object next to it does, so that the box follows
    shifts, changes of size and limbs. Each cell of the new mask takes the value of the cell that
    the motion brought there (x + flow(x) = cell, solved by fixed-point iteration), so the mask is
    resampled once, however many pictures lie between.

    Args:
        instances: of the picture that the flow starts from.
        flow: float32 [h, w, 2], displacements in its own pixels; it covers the whole picture.

    Returns:
        As many instances or fewer: what has left the picture is left out. Scores, labels, identity
        and the size of masks are kept. What is unsure stays as it was.
    """
    count = len(instances)
    if not count:
        return instances
    height, width = instances.picture_size
    scale = np.array([flow.shape[1] / width, flow.shape[0] / height], np.float32)
    boxes, masks = instances.paste_boxes, instances.masks
    rows, columns = masks.shape[1:]
    centres = _cell_centres(boxes, rows, columns)
    raw = _sample(flow, centres, scale)
    moves = np.stack(
        [
            _own_motion(move, mask, instances.mask_threshold)
            for move, mask in zip(raw, masks, strict=True)
        ]
    )
    moved = _moved_boxes(boxes, masks, centres, moves, instances.mask_threshold)
    size = np.stack([boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]], axis=1)
    per_pixel = np.array([columns, rows], np.float32) / np.maximum(size, 1e-3)
    # From here on in cells of the old box: where in it does each cell of the new box come from?
    wanted = (_cell_centres(moved, rows, columns) - boxes[:, None, None, :2]) * per_pixel[
        :, None, None
    ] - 0.5
    steps = moves * per_pixel[:, None, None]
    carried = np.stack(
        [
            _pull(mask, where.astype(np.float32), step.astype(np.float32))
            for mask, where, step in zip(masks, wanted, steps, strict=True)
        ]
    )
    result = replace(instances, boxes=moved, masks=carried.astype(np.float32, copy=False))
    if instances.mask_boxes is not None:
        result = replace(result, boxes=instances.boxes + (moved - boxes), mask_boxes=moved)
    there = _in_picture(moved, width, height)
    return result if there.all() else result.select(there)


def _cell_centres(boxes: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """Centres of the masks' cells in picture pixels, float32 [N, rows, columns, 2]."""
    x = (np.arange(columns, dtype=np.float32) + 0.5) / columns
    y = (np.arange(rows, dtype=np.float32) + 0.5) / rows
    centres = np.empty((len(boxes), rows, columns, 2), np.float32)
    centres[..., 0] = (boxes[:, :1] + x * (boxes[:, 2:3] - boxes[:, :1]))[:, None, :]
    centres[..., 1] = (boxes[:, 1:2] + y * (boxes[:, 3:] - boxes[:, 1:2]))[:, :, None]
    return centres


def _sample(
    flow: Flow, points: NDArray[np.float32], scale: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The flow at points of the picture, in picture pixels; the shape of `points`."""
    count, rows, columns, _ = points.shape
    small = (points * scale - 0.5).reshape(count * rows, columns, 2)
    # OpenCV's remap takes at most 32767 rows; that is more than 1,000 instances.
    moves = cv2.remap(
        flow, small[..., 0], small[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moves.reshape(points.shape) / scale, np.float32)


def _own_motion(
    moves: NDArray[np.float32], mask: NDArray[np.float32], threshold: float
) -> NDArray[np.float32]:
    """An object's own motion at its mask's cells, float32 [rows, columns, 2].

    Dense flow is smooth across an object's outline, where it mixes the object's motion with that
    of what is behind. Here the inner cells count most and fill the outer ones and those around
    (a normalised convolution).
    """
    inner = cv2.GaussianBlur(mask, (0, 0), _BLUR) ** _SHARPNESS * (mask > threshold)
    weight = (inner + 1e-4 * mask + 1e-8).astype(np.float32)
    total = cv2.GaussianBlur(weight, (0, 0), _SPREAD)
    mixed = cv2.GaussianBlur(moves * weight[..., None], (0, 0), _SPREAD)
    return np.asarray(mixed / np.maximum(total, 1e-20)[..., None], np.float32)


def _pull(
    mask: NDArray[np.float32], wanted: NDArray[np.float32], steps: NDArray[np.float32]
) -> NDArray[np.float32]:
    """A mask whose every cell is what the motion brought to it, float32 of the mask's size.

    Args:
        mask: float32 [rows, columns].
        wanted: where the new cells are, in cells of the old box, x and y.
        steps: by how many cells each old cell moves, x and y.
    """
    origin = wanted - steps
    for _ in range(_ROUNDS):
        at = cv2.remap(
            steps, origin[..., 0], origin[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        origin = wanted - at
    return np.asarray(cv2.remap(mask, origin[..., 0], origin[..., 1], cv2.INTER_LINEAR), np.float32)


def _moved_boxes(
    boxes: NDArray[np.float32],
    masks: NDArray[np.float32],
    centres: NDArray[np.float32],
    moves: NDArray[np.float32],
    threshold: float,
) -> NDArray[np.float32]:
    """Boxes whose sides moved with the parts of the objects next to them, float32 [N, 4]."""
    moved = boxes.copy()
    for index, mask in enumerate(masks):
        inside = mask > threshold
        if not inside.any():
            inside = mask >= mask.max()
        place, move = centres[index][inside], moves[index][inside]
        for axis in (0, 1):
            at, by = place[:, axis], move[:, axis]
            low, high = float(at.min()), float(at.max())
            reach = _EDGE * (high - low)
            moved[index, axis] += np.median(by[at <= low + reach])
            moved[index, axis + 2] += np.median(by[at >= high - reach])
    # A side can pass its opposite only where the flow is nonsense.
    flat = (moved[:, 2:] - moved[:, :2]).min(axis=1) < 0
    moved[flat] = boxes[flat]
    return moved


def _in_picture(boxes: NDArray[np.float32], width: int, height: int) -> NDArray[np.bool_]:
    limit = np.array([width, height], np.float32)
    seen = np.minimum(boxes[:, 2:], limit) - np.maximum(boxes[:, :2], 0)
    return np.asarray((seen >= _LEAST_SIZE).all(axis=1), np.bool_)
