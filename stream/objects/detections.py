"""To and from `supervision.Detections`, for whoever has that library."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

from stream.errors import UsageError
from stream.objects.instance_arrays import class_names as named
from stream.objects.outlines import flags, pixel_masks, tight
from stream.types import Array

if TYPE_CHECKING:
    import supervision

    from stream.objects.instance_arrays import _Arrays

    class _Found(_Arrays, Protocol):
        """What of `Instances` becomes theirs."""

        @property
        def names(self) -> list[str]: ...
        def full_masks(self) -> NDArray[np.bool_]: ...


_CELLS = 28


class Fields(TypedDict):
    """Fields of `Instances`, as they are said there."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    masks: NDArray[np.float32]
    class_names: tuple[str, ...]
    picture_size: tuple[int, int]
    track_ids: NDArray[np.int64] | None
    mask_boxes: NDArray[np.float32] | None


def to_supervision(instances: _Found) -> supervision.Detections:
    """See `Instances.to_supervision`."""
    try:
        import supervision
    except ImportError as error:
        raise UsageError(
            "to_supervision() needs the library supervision; install it: pip install supervision"
        ) from error
    return supervision.Detections(
        xyxy=instances.boxes.copy(),
        mask=instances.full_masks(),
        confidence=instances.scores.copy(),
        class_id=instances.labels.astype(int),
        tracker_id=None if instances.track_ids is None else instances.track_ids.astype(int),
        data={"class_name": np.array(instances.names, dtype=str)},
    )


def from_supervision(
    detections: supervision.Detections,
    picture_size: tuple[int, int] | None,
    class_names: Sequence[str] | None,
) -> Fields:
    """What `Instances.from_supervision` makes its instances of, in the order of the detections."""
    if not hasattr(detections, "xyxy"):
        raise ValueError(
            f"what is taken over is a supervision.Detections, not {type(detections).__name__}"
        )
    count = len(detections.xyxy)
    boxes = np.asarray(detections.xyxy, np.float32).reshape(count, 4)
    full = (
        None if detections.mask is None else [flags(one) for one in _each(detections.mask, count)]
    )
    if picture_size is None:
        if detections.mask is None:
            raise ValueError(
                "detections without masks do not tell the picture's size: give "
                "picture_size=(height, width)"
            )
        _, height, width = detections.mask.shape  # masks of no object have it, too
        picture_size = height, width
    for one in full or ():
        if one.shape != tuple(picture_size):
            raise ValueError(f"a mask of {one.shape} does not fit a picture of {picture_size}")
    labels = np.zeros(count, np.int64)
    if detections.class_id is not None:
        labels = np.asarray(detections.class_id, np.int64)
    if class_names is None:
        class_names = _names(labels, detections.data.get("class_name"))
    scores = np.ones(count, np.float32)
    if detections.confidence is not None:
        scores = np.asarray(detections.confidence, np.float32)
    mask_boxes: NDArray[np.float32] | None = None
    masks = np.ones((count, _CELLS, _CELLS), np.float32)
    if full is not None:
        _, masks, mask_boxes = pixel_masks(map(tight, full))
    tracks = detections.tracker_id
    return Fields(
        boxes=boxes,
        scores=scores,
        labels=labels,
        masks=masks,
        class_names=named(class_names),
        picture_size=picture_size,
        track_ids=None if tracks is None else np.asarray(tracks, np.int64),
        mask_boxes=mask_boxes,
    )


class _Masks(Protocol):
    """Full-size masks, bool [H, W] each, by number."""

    def __getitem__(self, index: int, /) -> Array: ...


def _each(masks: _Masks, count: int) -> list[Array]:
    # Its compact masks are full-size arrays one by one, as its arrays are.
    return [masks[index] for index in range(count)]


def _names(labels: NDArray[np.int64], given: Iterable[object] | None) -> tuple[str, ...]:
    """A name for every label up to the largest; those that are not there are called by number."""
    count = int(labels.max()) + 1 if len(labels) else 0
    names = [f"class {label}" for label in range(count)]
    if given is not None:
        for label, name in zip(labels, given, strict=True):
            names[label] = str(name)
    return tuple(names)
