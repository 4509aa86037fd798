"""What the network should have answered: labels and box and mask targets, honest about gaps.

A picture may be annotated only in part. `Targets.known` says which classes an unlabelled region
is proven not to be; what is not proven gives no background loss.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import box_iou

from stream_models.training.polygons import Polygons, draw


@dataclasses.dataclass
class Targets:
    """The truth about one training picture of H by W pixels.

    boxes: float32 (N, 4), x1, y1, x2, y2 in pixels. labels: int64 (N,), 0-based.
    mask_weights: float32 (N,), 0 where no mask is known, up to 1 where it is sure.
    polygons: N outlines (a union of rings, in pixels). hidden: for each object, the outlines of
    what lies in front of it. ignore: float32 (K, 4), areas that prove nothing (crowds).
    known: bool (classes,), true where every object of that class in the picture is labelled.
    """

    boxes: Tensor
    labels: Tensor
    mask_weights: Tensor
    polygons: list[Polygons]
    hidden: list[list[Polygons]]
    ignore: Tensor
    known: Tensor

    @property
    def complete(self) -> bool:
        """Whether every object of every class is labelled."""
        return bool(self.known.all())


def crop_masks(target: Targets, matches: Tensor, rois: Tensor, size: int) -> Tensor:
    """Soft masks (R, size, size) in 0..1: object `matches[r]` seen in the frame of `rois[r]`.

    Drawn at twice the size and averaged, so that edges keep their sub-cell position.
    """
    out = np.empty((len(rois), size, size), np.float32)
    canvas = np.zeros((2 * size, 2 * size), np.uint8)
    for row, (match, roi) in enumerate(zip(matches.tolist(), rois.numpy(), strict=True)):
        scale = 2.0 * size / np.maximum(roi[2:] - roi[:2], 1e-3)
        canvas[:] = 0
        rings = [(ring - roi[:2]) * scale for ring in target.polygons[match]]
        draw(rings, canvas, 255)
        # OpenCV fills the outline's own pixels too; on average half of each is inside.
        points = [np.round(ring * 16.0 - 8.0).astype(np.int32) for ring in rings]
        cv2.polylines(canvas, points, True, 128, 1, cv2.LINE_8, 4)
        for front in target.hidden[match]:
            draw([(ring - roi[:2]) * scale for ring in front], canvas, 0)
        out[row] = canvas.reshape(size, 2, size, 2).mean(axis=(1, 3), dtype=np.float32)
    return torch.from_numpy(out / 255.0)


def dense_truth(target: Targets, shape: tuple[int, int], stride: int) -> tuple[Tensor, Tensor]:
    """Where the picture of `shape` (H, W) shows a person, and where anything else labelled.

    Returns truth and weight, float32 (2, H / stride, W / stride) each: class 0, then the others.
    Cells that an outline crosses count as inside.
    The weight is 0 where nothing is known, as inside the box of an object without a sure mask.
    """
    height, width = shape[0] // stride, shape[1] // stride
    shown = np.zeros((2, height, width), np.uint8)
    unsure = np.zeros((2, height, width), np.uint8)
    if not bool(target.known[0]):
        unsure[0] = 1
    if not bool(target.known[1:].all()):
        unsure[1] = 1
    for index, label in enumerate(target.labels.tolist()):
        kind = int(label > 0)
        if float(target.mask_weights[index]) >= 0.5:
            own = np.zeros((height, width), np.uint8)
            draw(_shrunk(target.polygons[index], stride), own, 1)
            for front in target.hidden[index]:
                draw(_shrunk(front, stride), own, 0)
            shown[kind] |= own
        else:
            _fill(unsure[kind], target.boxes[index], stride)
    for area in target.ignore:
        _fill(unsure, area, stride)
    known = (shown > 0) | (unsure == 0)
    return torch.from_numpy(shown.astype(np.float32)), torch.from_numpy(known.astype(np.float32))


def _shrunk(polygons: Polygons, stride: int) -> Polygons:
    return [(ring / stride).astype(np.float32) for ring in polygons]


def _fill(mask: NDArray[np.uint8], box: Tensor, stride: int) -> None:
    x1, y1, x2, y2 = (box / stride).tolist()
    mask[..., int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))] = 1


def match(
    boxes: Tensor, target: Targets, positive: float, negative: float, low_quality: bool
) -> tuple[Tensor, Tensor]:
    """Assign objects to candidate boxes (M, 4).

    Returns the index of the best object (M,) (0 where there is none) and a state (M,): 1 the
    box is that object, 0 it is background as far as the labels go, -1 it proves nothing. With
    `low_quality` each object also takes its best candidates (Faster R-CNN, section 3.1.2).
    In an incompletely labelled picture a candidate that touches no labelled object (IoU below
    0.1) may show an unlabelled one; whether it proves anything is left to `background_classes`.
    """
    state = torch.full((len(boxes),), -1, dtype=torch.int64)
    if len(target.boxes) == 0:
        best = torch.zeros(len(boxes))
        index = torch.zeros(len(boxes), dtype=torch.int64)
    else:
        overlap = box_iou(boxes, target.boxes)
        best, index = overlap.max(dim=1)
    state[best < negative] = 0
    if len(target.ignore):
        shared = _covered(boxes, target.ignore)
        state[(state == 0) & (shared > 0.5)] = -1
    if len(target.boxes):
        if low_quality:
            peak = overlap.max(dim=0).values
            rows, columns = ((overlap >= peak - 1e-4) & (peak > 0.1)).nonzero(as_tuple=True)
            index[rows] = columns
            state[rows] = 1
        state[best >= positive] = 1
    if not target.complete:
        state[(state == 0) & (best < 0.1)] = -2
    return index, state


def _covered(boxes: Tensor, areas: Tensor) -> Tensor:
    """The largest share of each box (M,) that lies inside one of `areas` (K, 4)."""
    low = torch.maximum(boxes[:, None, :2], areas[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], areas[None, :, 2:])
    inner = (high - low).clamp(min=0.0).prod(dim=2)
    size = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3).prod(dim=1)
    return (inner / size[:, None]).max(dim=1).values


def sample(state: Tensor, total: int, share: float, generator: torch.Generator) -> Tensor:
    """Indices of at most `total` candidates of `state` 1 and 0, at most `share` of them 1."""

    def pick(mask: Tensor, count: int) -> Tensor:
        index = mask.nonzero()[:, 0]
        order = torch.randperm(len(index), generator=generator)[:count]
        return index[order]

    positive = pick(state == 1, int(total * share))
    return torch.cat([positive, pick(state == 0, total - len(positive))])
