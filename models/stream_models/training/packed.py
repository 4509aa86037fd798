"""Targets of a whole batch as tensors of equal shapes, for devices that learn from all at once."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import torch
from torch import Tensor

from stream_models.network import FINE_STRIDE
from stream_models.training.polygons import Polygons, draw
from stream_models.training.targets import Targets, dense_truth

_SIDE = 160
_FRAME = 1.16
"""An object's mask is drawn once, `_SIDE` cells wide, in its box widened by this factor, so that
there is a rim of zeros; the masks of regions are read from it on the device."""


@dataclasses.dataclass
class PackedTargets:
    """The truth about B pictures, with at most N objects and K ignored areas each.

    boxes: float32 (B, N, 4). labels: int64 (B, N). real: bool (B, N), false for padding.
    mask_weights: float32 (B, N). known: bool (B, classes). ignore: float32 (B, K, 4), empty boxes
    for padding. masks: uint8 (T, S, S), those of objects with a mask weight, 0 to 255; mask_rows:
    int64 (B, N), which of them; mask_frames: float32 (B, N, 4), where in the picture it lies.
    dense: uint8 (B, 4, H / 4, W / 4), `dense_truth`'s truth and weight.
    """

    boxes: Tensor
    labels: Tensor
    real: Tensor
    mask_weights: Tensor
    known: Tensor
    ignore: Tensor
    masks: Tensor
    mask_rows: Tensor
    mask_frames: Tensor
    dense: Tensor

    def to(self, device: torch.device) -> PackedTargets:
        """The same on another device; from pinned memory the host does not wait."""
        return PackedTargets(
            **{name: value.to(device, non_blocking=True) for name, value in vars(self).items()}
        )

    def pin_memory(self) -> PackedTargets:
        """The same in memory that a GPU reads by itself."""
        return PackedTargets(**{name: value.pin_memory() for name, value in vars(self).items()})

    def __len__(self) -> int:
        return len(self.boxes)


def object_mask(
    polygons: Polygons, hidden: list[Polygons], frame: np.ndarray, out: np.ndarray
) -> None:
    """Draw one object, without what hides it, in `frame` (x1, y1, x2, y2) on `out` uint8 (S, S)."""
    scale = len(out) / np.maximum(frame[2:] - frame[:2], 1e-3)
    rings = [(ring - frame[:2]) * scale for ring in polygons]
    draw(rings, out, 255)
    # As in `crop_masks`: OpenCV fills the outline's pixels too, half of each is inside.
    points = [np.round(ring * 16.0 - 8.0).astype(np.int32) for ring in rings]
    cv2.polylines(out, points, True, 128, 1, cv2.LINE_8, 4)
    for front in hidden:
        draw([(ring - frame[:2]) * scale for ring in front], out, 0)


def pack(targets: list[Targets], shape: tuple[int, int]) -> PackedTargets:
    """The targets of pictures of `shape` (H, W) as one."""
    count = len(targets)
    # Few widths, so that memory on the device is used again.
    most = max(1, *(len(target.boxes) for target in targets))
    most = -(-most // 16) * 16
    areas = -(-max(1, *(len(target.ignore) for target in targets)) // 8) * 8
    boxes = np.zeros((count, most, 4), np.float32)
    frames = np.zeros((count, most, 4), np.float32)
    labels = np.zeros((count, most), np.int64)
    rows = np.zeros((count, most), np.int64)
    real = np.zeros((count, most), np.bool_)
    weights = np.zeros((count, most), np.float32)
    ignore = np.zeros((count, areas, 4), np.float32)
    total = sum(int((target.mask_weights > 0).sum()) for target in targets)
    masks = np.zeros((max(1, total), _SIDE, _SIDE), np.uint8)
    height, width = shape[0] // FINE_STRIDE, shape[1] // FINE_STRIDE
    dense = np.empty((count, 4, height, width), np.uint8)
    row = 0
    for index, target in enumerate(targets):
        own = len(target.boxes)
        boxes[index, :own] = target.boxes.numpy()
        labels[index, :own] = target.labels.numpy()
        real[index, :own] = True
        weights[index, :own] = target.mask_weights.numpy()
        ignore[index, : len(target.ignore)] = target.ignore.numpy()
        for place in np.flatnonzero(weights[index] > 0):
            box = boxes[index, place]
            centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) * (_FRAME / 2)
            frames[index, place] = np.concatenate([centre - half, centre + half])
            rows[index, place] = row
            hidden = target.hidden[place]
            object_mask(target.polygons[place], hidden, frames[index, place], masks[row])
            row += 1
        truth, weight = dense_truth(target, shape, FINE_STRIDE)
        dense[index, :2], dense[index, 2:] = truth.numpy(), weight.numpy()
    return PackedTargets(
        torch.from_numpy(boxes),
        torch.from_numpy(labels),
        torch.from_numpy(real),
        torch.from_numpy(weights),
        torch.stack([target.known for target in targets]),
        torch.from_numpy(ignore),
        torch.from_numpy(masks),
        torch.from_numpy(rows),
        torch.from_numpy(frames),
        torch.from_numpy(dense),
    )
