"""From the model's answer, in pixels of its input, to instances in pixels of the picture."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.errors import ModelError, UsageError
from stream.inference.contract import Geometry
from stream.instances import Instances
from stream.types import Floats
from stream.wording.words import called, counted, names_in

_HIGHEST = 1.01
"""A score; what rounding, of half precision too, makes of 1 is less."""
_LISTED = 100
"""So many class names at most are listed where a wrong one was asked for."""


class Raw(NamedTuple):
    """A model's answer as the contract spells it; boxes in pixels of the input.

    Attributes:
        boxes: float32 [N, 4].
        scores: float32 [N].
        labels: int64 [N].
        masks: float32 [N, M, M], 0..1, in the frame of their box, or in `mask_boxes`.
        mask_boxes: float32 [N, 4], or None.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    masks: NDArray[np.float32]
    mask_boxes: NDArray[np.float32] | None = None


def class_indices(wanted: Sequence[str] | str, names: Sequence[str]) -> frozenset[int]:
    """The labels of the classes asked for, as a list or as one text with commas.

    Case does not matter.

    Raises:
        UsageError: a name that the model lacks; the message lists the nearest ones.
    """
    parts: object = names_in(wanted) if isinstance(wanted, str) else wanted
    if not isinstance(parts, Iterable):
        raise UsageError(f"classes are named, such as 'person', not {parts!r}")
    by_name: dict[str, set[int]] = {}
    for index, known in enumerate(names):
        by_name.setdefault(known.casefold(), set()).add(index)
    found = set[int]()
    for part in parts:
        if not isinstance(part, str):
            raise UsageError(f"classes are named, such as 'person', not {part!r}")
        name = part.strip()
        if not name:
            continue
        if name.casefold() not in by_name:
            near = difflib.get_close_matches(name.casefold(), by_name, n=1, cutoff=0.5)
            meant = f" (did you mean {called(names[min(by_name[near[0]])])}?)" if near else ""
            more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
            raise UsageError(
                f"the model has no class {name!r}{meant}; it has "
                f"{', '.join(map(called, names[:_LISTED]))}{more}"
            )
        found |= by_name[name.casefold()]
    if not found:
        raise UsageError("the list of classes is empty; name at least one, such as 'person'")
    return frozenset(found)


def to_instances(
    raw: Raw,
    geometry: Geometry,
    names: tuple[str, ...],
    *,
    threshold: float,
    mask_threshold: float,
    classes: frozenset[int] | None = None,
) -> Instances:
    """Maps boxes back to the picture and keeps what was asked for.

    Boxes, and mask boxes where there are, are clipped to the picture; where that cuts off a visible
    part of the one that the mask lies in, the mask is cropped with it. Instances below the
    threshold, of other classes, without an area in the picture, or with what is no number are
    dropped. The arrays returned are the caller's own.

    Args:
        raw: the model's answer.
        geometry: where the picture lay in the input.
        names: the model's classes.
        threshold: lowest score kept, 0..1.
        mask_threshold: a soft mask above this is the object, 0..1.
        classes: labels kept; None for all.

    Raises:
        ModelError: the answer breaks the contract (lengths that differ, a label without a name,
            scores above 1).
    """
    _check(raw, len(names))
    keep = (raw.scores >= threshold) & (raw.scores < np.inf)  # also drops NaN
    if classes is not None:
        keep &= np.isin(raw.labels, np.fromiter(classes, np.int64))
    width, height = geometry.picture
    boxes, clipped, seen = _in_picture(raw.boxes, geometry)
    keep &= seen
    reach, cut = boxes, clipped
    if raw.mask_boxes is not None:
        reach, cut, seen = _in_picture(raw.mask_boxes, geometry)
        keep &= seen
    order = np.flatnonzero(keep)
    order = order[np.argsort(-raw.scores[order], kind="stable")]
    masks = raw.masks[order].astype(np.float32)  # a copy, whatever the type was
    with np.errstate(invalid="ignore", over="ignore"):
        sound = np.isfinite(masks.sum(axis=(1, 2)))
    if not sound.all():
        order, masks = order[sound], masks[sound]
    _crop(masks, reach[order], cut[order])
    return Instances(
        boxes=clipped[order].astype(np.float32),
        scores=np.minimum(raw.scores[order].astype(np.float32), 1),  # rounding reaches above
        labels=raw.labels[order].astype(np.int64),
        masks=masks,
        class_names=names,
        picture_size=(height, width),
        mask_threshold=mask_threshold,
        mask_boxes=None if raw.mask_boxes is None else cut[order].astype(np.float32),
    )


def to_picture(boxes: NDArray[np.float32], geometry: Geometry) -> NDArray[np.float64]:
    """Boxes [N, 4] in pixels of the input, in pixels of the picture; they may reach beyond it."""
    scale = np.array(geometry.scale * 2, np.float64)
    offset = np.array(geometry.offset * 2, np.float64)
    mapped: NDArray[np.float64] = (boxes.astype(np.float64) - offset) * scale
    return mapped


def _in_picture(
    boxes: NDArray[np.float32], geometry: Geometry
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Boxes [N, 4] in pixels of the picture, the same clipped to it, and whether any is left."""
    mapped = to_picture(boxes, geometry)
    clipped = np.clip(mapped, 0, np.array(geometry.picture * 2))
    # NaN compares false, so a box with one is dropped here too.
    seen = (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
    return mapped, clipped, seen & np.isfinite(mapped).all(axis=1)


def _crop(masks: NDArray[np.float32], boxes: Floats, inside: Floats) -> None:
    """Resamples the part of soft masks that lies in clipped boxes to the same M x M, in place.

    Args:
        masks: float32 [N, M, M].
        boxes: float64 [N, 4], where they lie.
        inside: of each box what lies in the picture.
    """
    cells = masks.shape[-1]
    size = boxes[:, 2:] - boxes[:, :2]
    # In cells of the mask. Half of one is below what a mask resolves.
    start = (inside[:, :2] - boxes[:, :2]) / size * cells
    end = (inside[:, 2:] - boxes[:, :2]) / size * cells
    beyond = ~((start <= 0.5) & (cells - end <= 0.5)).all(axis=1)
    for index in np.flatnonzero(beyond).tolist():
        masks[index] = resampled(masks[index], start[index], end[index], cv2.BORDER_REPLICATE)


def resampled(
    mask: NDArray[np.float32], start: Floats, end: Floats, border: int
) -> NDArray[np.float32]:
    """A part of a soft mask [M, M], which may reach beyond it, at the same M x M.

    Args:
        mask: float32.
        start: x and y of where the part begins, in cells of the mask.
        end: likewise.
        border: OpenCV's way to what lies beyond the mask; beyond a constant one it is 0.
    """
    cells = mask.shape[-1]
    step = (end - start) / cells
    # Cell centre (j + 0.5) of the result lies at start + (j + 0.5) * step in the mask's frame.
    matrix = np.array(
        [[step[0], 0, start[0] + 0.5 * step[0] - 0.5], [0, step[1], start[1] + 0.5 * step[1] - 0.5]]
    )
    part = cv2.warpAffine(
        np.ascontiguousarray(mask),
        matrix,
        (cells, cells),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=border,
    )
    return np.asarray(part, np.float32)


def _check(raw: Raw, classes: int) -> None:
    count = len(raw.scores)
    shapes = [list(array.shape) for array in raw if array is not None]
    if (
        raw.boxes.shape != (count, 4)
        or raw.labels.shape != (count,)
        or raw.masks.shape[:1] != (count,)
        or raw.masks.ndim != 3
        or raw.masks.shape[1] != raw.masks.shape[2]
        or (raw.mask_boxes is not None and raw.mask_boxes.shape != (count, 4))
    ):
        raise ModelError(
            f"its answer breaks the contract: boxes {shapes[0]}, scores {shapes[1]}, "
            f"labels {shapes[2]}, masks {shapes[3]}"
        )
    if count and (raw.labels.min() < 0 or raw.labels.max() >= classes):
        worst = int(raw.labels.max() if raw.labels.max() >= classes else raw.labels.min())
        raise ModelError(
            f"it answered with label {worst}, but names {counted(classes, 'class', 'classes')}"
        )
    beyond = raw.scores[(raw.scores > _HIGHEST) & (raw.scores < np.inf)]
    if len(beyond):
        raise ModelError(f"it answered with a score of {beyond.max():g}, and scores are 0..1")
