"""Moving instances from the picture they were found in to a later one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances
from stream.motion.cells import cell_centres
from stream.motion.flow import Flow

_EDGE = 0.15
"""Share of an object's extent that tells how its edge moves."""

_ROUNDS = 3
"""Steps of the fixed-point iteration that inverts the motion at a mask's cells."""

_BLUR, _SHARPNESS, _SPREAD = 1.0, 8.0, 1.0
"""How inner cells are told from outer ones, and how far they fill; in cells."""

_LEAST_SIZE = 2.0
"""Pixels. A box that has become narrower than this is gone."""

Fits = Callable[[Instances], NDArray[np.bool_]]
"""Which of some instances lie where their objects are, bool [N]."""


def in_size(found: Instances | None, picture: av.VideoFrame) -> Instances | None:
    """What was carried, in pixels of the picture that it was carried to.

    A stream may have changed to a finer picture since, of which the small grey one is the same.
    """
    if found is None or found.picture_size == (picture.height, picture.width):
        return found
    height, width = found.picture_size
    scale = np.array([picture.width / width, picture.height / height] * 2, np.float32)
    return replace(
        found,
        boxes=found.boxes * scale,
        mask_boxes=None if found.mask_boxes is None else found.mask_boxes * scale,
        picture_size=(picture.height, picture.width),
        unsure=in_size(found.unsure, picture),
    )


class Carried:
    """Instances with what moving them needs to know of them, worked out once for many flows.

    Each side of a box moves as the part of the object next to it does, so that the box follows
    shifts, changes of size and limbs. Each cell of the new mask takes the value of the cell that
    the motion brought there (x + flow(x) = cell, solved by fixed-point iteration), so the mask is
    resampled once, however many pictures lie between.

    Args:
        instances: of the picture that the flows start from.
    """

    def __init__(self, instances: Instances) -> None:
        self._instances = instances
        boxes, masks = instances.paste_boxes, instances.masks
        rows, columns = masks.shape[1:]
        self._boxes = boxes
        self._centres = cell_centres(boxes, rows, columns)
        self._weights = [_Weight(mask, instances.mask_threshold) for mask in masks]
        self._sides = [
            _sides_of(mask, centres, instances.mask_threshold)
            for mask, centres in zip(masks, self._centres, strict=True)
        ]
        size = np.stack([boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]], axis=1)
        per_pixel = np.array([columns, rows], np.float32) / np.maximum(size, 1e-3)
        self._per_pixel = per_pixel[:, None, None]
        self._at: tuple[tuple[int, ...], NDArray[np.float32], NDArray[np.float32]] | None = None

    def along(self, flow: Flow, fits: Fits | None = None) -> Instances:
        """Where the instances are after a motion.

        Args:
            flow: float32 [h, w, 2], displacements in its own pixels; it covers the whole picture.
            fits: says of them, once moved, which lie where their objects are; None for all.

        Returns:
            As many instances or fewer: what has left the picture is left out, and what does not
            fit. Scores, labels, identity and the size of masks are kept. What is unsure stays as
            it was.
        """
        instances, boxes = self._instances, self._boxes
        if not len(instances):
            return instances
        height, width = instances.picture_size
        rows, columns = instances.masks.shape[1:]
        raw = self._sample(flow)
        moves = np.stack(
            [weight.own_motion(move) for weight, move in zip(self._weights, raw, strict=True)]
        )
        moved = self._moved_boxes(moves)
        # From here on in cells of the old box: where in it does each cell of the new box come from?
        wanted = (
            cell_centres(moved, rows, columns) - boxes[:, None, None, :2]
        ) * self._per_pixel - 0.5
        steps = moves * self._per_pixel
        carried = np.stack(
            [
                _pull(mask, where.astype(np.float32), step.astype(np.float32))
                for mask, where, step in zip(instances.masks, wanted, steps, strict=True)
            ]
        )
        result = replace(instances, boxes=moved, masks=carried.astype(np.float32, copy=False))
        if instances.mask_boxes is not None:
            told = _alongside(instances.boxes, moved - boxes)
            result = replace(result, boxes=told, mask_boxes=moved)
        there = _in_picture(moved, width, height)
        if fits is not None:
            there &= fits(result)
        return result if there.all() else result.select(there)

    def _sample(self, flow: Flow) -> NDArray[np.float32]:
        """The flow at the cells' centres, in picture pixels, float32 [N, rows, columns, 2]."""
        height, width = self._instances.picture_size
        scale = np.array([flow.shape[1] / width, flow.shape[0] / height], np.float32)
        if self._at is None or self._at[0] != flow.shape:
            count, rows, columns, _ = self._centres.shape
            small = (self._centres * scale - 0.5).reshape(count * rows, columns, 2)
            parts = [np.ascontiguousarray(small[..., axis]) for axis in (0, 1)]
            self._at = flow.shape, parts[0], parts[1]
        _, across, down = self._at
        # OpenCV's remap takes at most 32767 rows; that is more than 1,000 instances.
        moves = cv2.remap(flow, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moves.reshape(self._centres.shape) / scale, np.float32)

    def _moved_boxes(self, moves: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes whose sides moved with the parts of the objects next to them, float32 [N, 4]."""
        boxes = self._boxes
        moved = boxes.copy()
        for index, sides in enumerate(self._sides):
            by = moves[index].reshape(-1, 2)
            for side, cells in enumerate(sides):
                moved[index, side] += np.median(by[cells, side % 2])
        # A side can pass its opposite only where the flow is nonsense.
        flat = (moved[:, 2:] - moved[:, :2]).min(axis=1) < 0
        moved[flat] = boxes[flat]
        return moved


def _alongside(boxes: NDArray[np.float32], moves: NDArray[np.float32]) -> NDArray[np.float32]:
    """Boxes whose sides move as those of the boxes that their masks lie in, float32 [N, 4].

    A mask may lie in a much wider box, which becomes narrower by more than there is of this one:
    that goes along as a whole.
    """
    moved = boxes + moves
    passed = moved[:, :2] >= moved[:, 2:]
    if passed.any():
        whole = boxes + np.tile((moves[:, :2] + moves[:, 2:]) / 2, 2)
        moved = np.where(np.tile(passed, 2), whole, moved)
    return moved


def propagate(instances: Instances, flow: Flow) -> Instances:
    """Moves instances along one flow; see `Carried`."""
    return Carried(instances).along(flow)


class _Weight:
    """How much each cell of a mask tells of its object's own motion.

    Dense flow is smooth across an object's outline, where it mixes the object's motion with that
    of what is behind. Here the inner cells count most and fill the outer ones and those around
    (a normalised convolution).
    """

    def __init__(self, mask: NDArray[np.float32], threshold: float) -> None:
        inner = cv2.GaussianBlur(mask, (0, 0), _BLUR) ** _SHARPNESS * (mask > threshold)
        weight = (inner + 1e-4 * mask + 1e-8).astype(np.float32)
        total = cv2.GaussianBlur(weight, (0, 0), _SPREAD)
        self._weight = weight[..., None]
        self._total = np.maximum(total, 1e-20)[..., None]

    def own_motion(self, moves: NDArray[np.float32]) -> NDArray[np.float32]:
        """The object's own motion at its mask's cells, float32 [rows, columns, 2]."""
        mixed = cv2.GaussianBlur(moves * self._weight, (0, 0), _SPREAD)
        return np.asarray(mixed / self._total, np.float32)


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


def _sides_of(
    mask: NDArray[np.float32], centres: NDArray[np.float32], threshold: float
) -> list[NDArray[np.intp]]:
    """The cells by which each side of a box moves, by number: left, top, right, bottom."""
    inside = mask > threshold
    if not inside.any():
        inside = mask >= mask.max()
    cells = np.flatnonzero(inside)
    found: list[list[NDArray[np.intp]]] = []
    for axis in (0, 1):
        at = centres[..., axis][inside]
        low, high = float(at.min()), float(at.max())
        reach = _EDGE * (high - low)
        found.append([cells[at <= low + reach], cells[at >= high - reach]])
    (left, right), (top, bottom) = found
    return [left, top, right, bottom]


def _in_picture(boxes: NDArray[np.float32], width: int, height: int) -> NDArray[np.bool_]:
    limit = np.array([width, height], np.float32)
    seen = np.minimum(boxes[:, 2:], limit) - np.maximum(boxes[:, :2], 0)
    return np.asarray((seen >= _LEAST_SIZE).all(axis=1), np.bool_)
