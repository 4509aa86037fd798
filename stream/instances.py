"""The objects found in one picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stream.roi import paste_mask


@dataclass(frozen=True, slots=True)
class Instances:
    """Detections of one picture, in that picture's pixels, best first.

    Attributes:
        boxes: float32 [N, 4], x1, y1, x2, y2 in pixels of the picture; may be fractional.
        scores: float32 [N], 0..1, descending.
        labels: int64 [N], indices into `class_names`.
        masks: float32 [N, M, M], soft masks (0..1) in the frame of their box, unless `frames` says
            otherwise.
        class_names: the model's classes.
        picture_size: (height, width) in pixels.
        mask_threshold: a soft mask above this is the object, 0..1.
        track_ids: int64 [N], one identity per object over time, or None where nothing tracks.
        frames: float32 [N, 4], where masks lie that reach beyond their boxes, as boxes are given;
            None where the boxes themselves are the frames.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    masks: NDArray[np.float32]
    class_names: tuple[str, ...]
    picture_size: tuple[int, int]
    mask_threshold: float = 0.5
    track_ids: NDArray[np.int64] | None = None
    frames: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        count = len(self.boxes)
        if self.boxes.shape != (count, 4) or self.masks.ndim != 3:
            raise ValueError(
                f"boxes must be [N, 4] and masks [N, M, M], not {self.boxes.shape} and "
                f"{self.masks.shape}"
            )
        lengths = {count, len(self.scores), len(self.labels), len(self.masks)}
        if self.track_ids is not None:
            lengths.add(len(self.track_ids))
        if self.frames is not None:
            lengths.add(len(self.frames))
        if len(lengths) != 1:
            raise ValueError(f"arrays of one frame's instances differ in length: {lengths}")

    @classmethod
    def empty(cls, class_names: tuple[str, ...], picture_size: tuple[int, int]) -> Instances:
        """Nothing found in a picture of (height, width) pixels."""
        return cls(
            boxes=np.zeros((0, 4), np.float32),
            scores=np.zeros(0, np.float32),
            labels=np.zeros(0, np.int64),
            masks=np.zeros((0, 28, 28), np.float32),
            class_names=class_names,
            picture_size=picture_size,
        )

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def mask_frames(self) -> NDArray[np.float32]:
        """The boxes in whose frame the masks lie, float32 [N, 4] in pixels of the picture."""
        return self.boxes if self.frames is None else self.frames

    @property
    def names(self) -> list[str]:
        """The class name of each instance, N strings."""
        return [self.class_names[label] for label in self.labels]

    def select(self, index: NDArray[np.bool_] | NDArray[np.int64]) -> Instances:
        """The instances that a boolean mask or an index array of length <= N picks."""
        return replace(
            self,
            boxes=self.boxes[index],
            scores=self.scores[index],
            labels=self.labels[index],
            masks=self.masks[index],
            track_ids=None if self.track_ids is None else self.track_ids[index],
            frames=None if self.frames is None else self.frames[index],
        )

    def with_tracks(self, track_ids: NDArray[np.int64]) -> Instances:
        """The same instances, each with an identity over time (int64 [N])."""
        return replace(self, track_ids=track_ids)

    def full_masks(self) -> NDArray[np.bool_]:
        """Masks at full picture size, bool [N, H, W]: large, so made only when asked for."""
        height, width = self.picture_size
        full = np.zeros((len(self), height, width), np.bool_)
        for box, mask, target in zip(self.mask_frames, self.masks, full, strict=True):
            pasted = paste_mask(mask, box, width, height, self.mask_threshold)
            if pasted is not None:
                (y1, y2, x1, x2), inside = pasted
                target[y1:y2, x1:x2] = inside
        return full


def box_iou(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """IoU of every box (N, 4) with every other (M, 4), float32 (N, M) in 0..1."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.asarray(shared / np.maximum(union, 1e-6), np.float32)
