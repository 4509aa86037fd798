"""The objects found in one picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias, cast, overload

import numpy as np
from numpy.typing import NDArray

from stream.attributes import unchanging
from stream.objects import rle
from stream.objects.detections import from_supervision, to_supervision
from stream.objects.instance import Instance, same
from stream.objects.instance_arrays import (
    amended,
    joinable,
    of_one_axis,
    picked,
    ranked,
    sides_of,
    with_fields,
)
from stream.objects.instance_arrays import class_names as named
from stream.objects.outlines import Ring, flags, pixel_masks, tight
from stream.roi import Window, paste_mask
from stream.types import Floats, Integers, Whole
from stream.wording.words import kinds

if TYPE_CHECKING:
    import supervision

Several: TypeAlias = "slice | Sequence[bool] | Sequence[int] | NDArray[np.bool_] | Integers"
"""What picks several instances: a slice, a boolean for each, or places; as numpy reads them."""


UNSURE = 0.3
"""Down to which share of the threshold something counts as unsure; `docs/privacy.md` has why."""


@unchanging
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Instances:
    """Detections of one picture, in that picture's pixels, best first.

        sure = found[found.scores > 0.8]      # also a slice, places, or a boolean for each
        for one in sure:                      # each an `Instance`
            print(one.name, one.score, one.area)

    Compares by value; arrays must be exactly the same. Not hashable. Lists and arrays of other
    numbers become those named here; what cannot, or does not fit together, is a ValueError.

    Attributes:
        boxes: float32 [N, 4], x1, y1, x2, y2 in pixels of the picture; may be fractional.
        scores: float32 [N], 0..1, descending.
        labels: int64 [N], indices into `class_names`.
        masks: float32 [N, M, M], soft masks (0..1) in the frame of their box, or where
            `mask_boxes` says.
        class_names: the model's classes.
        picture_size: (height, width) in pixels.
        mask_threshold: a soft mask above this is the object, 0..1.
        track_ids: int64 [N], one identity per object over time, or None where nothing tracks.
        mask_boxes: float32 [N, 4], where masks lie that reach beyond their boxes, as boxes are
            given; None where the boxes themselves say so.
        unsure: what may be in the picture besides, down to 0.3 of the threshold: layers that cover
            objects cover it too. It stays with whatever is chosen of the others. None where nobody
            asked for it.
        colours: float32 [N, K], which share of its pixels has which colour, for trackers; None
            where nobody asked for it.
        scene: which scene of a run the picture belongs to, counted by cuts, for trackers; 0 where
            nobody looked.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    masks: NDArray[np.float32]
    class_names: tuple[str, ...]
    picture_size: tuple[int, int]
    mask_threshold: float = 0.5
    track_ids: NDArray[np.int64] | None = None
    mask_boxes: NDArray[np.float32] | None = None
    unsure: Instances | None = None
    colours: NDArray[np.float32] | None = None
    scene: int = 0

    def __post_init__(self) -> None:
        for name, value in amended(self).items():
            object.__setattr__(self, name, value)

    @classmethod
    def empty(cls, class_names: Sequence[str], picture_size: tuple[int, int]) -> Instances:
        """Nothing found in a picture of (height, width) pixels."""
        return cls(
            boxes=np.zeros((0, 4), np.float32),
            scores=np.zeros(0, np.float32),
            labels=np.zeros(0, np.int64),
            masks=np.zeros((0, 28, 28), np.float32),
            class_names=named(class_names),
            picture_size=picture_size,
        )

    @classmethod
    def from_full_masks(
        cls,
        masks: NDArray[np.bool_] | Iterable[NDArray[np.bool_]],
        *,
        class_names: Sequence[str],
        picture_size: tuple[int, int],
        scores: Floats | Sequence[float] | None = None,
        labels: Integers | Sequence[int] | None = None,
        boxes: Floats | None = None,
        track_ids: Integers | Sequence[int] | None = None,
    ) -> Instances:
        """Instances of masks at full size, of which `full_masks` gives the same pixels again.

        Their masks are as many cells wide and high as the largest object has pixels, so they are
        not small: N times M times M times four bytes.

        Args:
            masks: bool [H, W] each; they are taken one by one.
            class_names: what labels index into.
            picture_size: (height, width) in pixels.
            scores: [N], 0..1; None for 1.
            labels: [N]; None for 0.
            boxes: [N, 4], x1, y1, x2, y2; None for the smallest that hold the masks.
            track_ids: [N], or None where nothing tracks.

        Returns:
            The instances, best first.

        Raises:
            ValueError: a mask is not of the picture's size, or lengths differ.
        """
        size = sides_of(picture_size)

        def parts() -> Iterator[tuple[Window, NDArray[np.bool_]] | None]:
            for mask in masks:
                whole = flags(mask)
                if whole.ndim == 1 and isinstance(masks, np.ndarray):
                    raise ValueError("masks are several: give a list, of one mask too")
                if whole.shape != size:
                    raise ValueError(f"a mask of {whole.shape} does not fit a picture of {size}")
                yield tight(whole)

        if not isinstance(masks, Iterable):
            raise ValueError(  # noqa: TRY004 - like an array of a wrong type
                f"masks are arrays bool [H, W], not {type(masks).__name__}"
            )

        around, cells, mask_boxes = pixel_masks(parts())
        count = len(around)
        # Lists become arrays as all that is given does.
        found = cls(
            boxes=cast("NDArray[np.float32]", around if boxes is None else boxes),
            scores=cast("NDArray[np.float32]", np.ones(count) if scores is None else scores),
            labels=cast("NDArray[np.int64]", np.zeros(count, int) if labels is None else labels),
            masks=cells,
            class_names=named(class_names),
            picture_size=size,
            track_ids=cast("NDArray[np.int64] | None", track_ids),
            mask_boxes=mask_boxes,
        )
        return found[np.argsort(-found.scores, kind="stable")]

    @classmethod
    def from_rle(
        cls,
        rles: Sequence[rle.AnyRle],
        *,
        class_names: Sequence[str],
        picture_size: tuple[int, int],
        scores: Floats | Sequence[float] | None = None,
        labels: Integers | Sequence[int] | None = None,
        boxes: Floats | None = None,
        track_ids: Integers | Sequence[int] | None = None,
    ) -> Instances:
        """As `from_full_masks`, from masks in COCO's run lengths.

        Args:
            rles: what `rle` gives; `counts` may also be bytes or uncompressed.
            class_names: what labels index into.
            picture_size: (height, width) in pixels.
            scores: [N], 0..1; None for 1.
            labels: [N]; None for 0.
            boxes: [N, 4], x1, y1, x2, y2; None for the smallest that hold the masks.
            track_ids: [N], or None where nothing tracks.

        Raises:
            UsageError: a mask cannot be read.
            ValueError: a mask is not of the picture's size, lengths differ, or it is a single one.
        """
        if isinstance(rles, Mapping):
            raise ValueError(  # noqa: TRY004 - like a single mask at full size
                "run lengths are several: give a list, of one mask too"
            )
        return cls.from_full_masks(
            map(rle.decode, rles),
            class_names=class_names,
            picture_size=picture_size,
            scores=scores,
            labels=labels,
            boxes=boxes,
            track_ids=track_ids,
        )

    @classmethod
    def from_supervision(
        cls,
        detections: supervision.Detections,
        *,
        picture_size: tuple[int, int] | None = None,
        class_names: Sequence[str] | None = None,
    ) -> Instances:
        """Instances of a `supervision.Detections`.

        Args:
            detections: its masks are kept exactly; where it has none, whole boxes are the objects.
            picture_size: (height, width) in pixels; None takes the masks' size, of no mask too.
            class_names: what its class ids index into; None takes the names that it has with it.

        Returns:
            The instances, best first.

        Raises:
            ValueError: there are no masks that tell the picture's size, and it is not given.
        """
        found = cls(**from_supervision(detections, picture_size, class_names))
        return found[np.argsort(-found.scores, kind="stable")]

    def to_supervision(self) -> supervision.Detections:
        """The same as `supervision.Detections`: boxes, full-size masks, scores, classes, tracks.

        Class names are in its `data["class_name"]`.

        Raises:
            UsageError: the library is not installed.
        """
        return to_supervision(self)

    def __len__(self) -> int:
        return len(self.boxes)

    @overload
    def __getitem__(self, index: Whole) -> Instance: ...

    @overload
    def __getitem__(self, index: Several) -> Instances: ...

    def __getitem__(self, index: Whole | Several) -> Instance | Instances:
        found = picked(of_one_axis(index))
        if isinstance(found, slice) or found.ndim:
            return self.select(found)
        if not -len(self) <= found < len(self):
            raise IndexError(f"there is no number {found}: {len(self)} were found")
        return self._one(range(len(self))[found])

    def __iter__(self) -> Iterator[Instance]:
        return map(self._one, range(len(self)))

    def _one(self, index: int) -> Instance:
        label = int(self.labels[index])
        return Instance(
            box=self.boxes[index],
            score=float(self.scores[index]),
            label=label,
            name=self.class_names[label],
            mask=self.masks[index],
            mask_box=self.paste_boxes[index],
            picture_size=self.picture_size,
            mask_threshold=self.mask_threshold,
            track_id=None if self.track_ids is None else int(self.track_ids[index]),
        )

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return same(self, other) if isinstance(other, Instances) else NotImplemented

    def __repr__(self) -> str:
        height, width = self.picture_size
        lines = [f"Instances: {kinds(self.names)} in a picture of {width}x{height}"]
        for name in ("boxes", "scores", "labels", "masks", "track_ids", "mask_boxes"):
            array = getattr(self, name)
            if array is not None:
                lines.append(f"  {name}: {array.dtype} {list(array.shape)}")
        if self.unsure is not None:
            lines.append(f"  unsure: {len(self.unsure)}")
        return "\n".join(lines)

    @property
    def paste_boxes(self) -> NDArray[np.float32]:
        """The boxes in whose frame the masks lie, float32 [N, 4] in pixels of the picture."""
        return self.boxes if self.mask_boxes is None else self.mask_boxes

    @property
    def names(self) -> list[str]:
        """The class name of each instance, N strings."""
        return [self.class_names[label] for label in self.labels]

    @property
    def areas(self) -> NDArray[np.int64]:
        """Pixels of the picture that are each object's, int64 [N]; masks are made one by one."""
        return np.array([one.area for one in self], np.int64)

    def polygons(self, tolerance: float = 0.0) -> list[list[Ring]]:
        """The outlines of each object.

        Args:
            tolerance: how far a simplified outline may lie from the exact one, in pixels; 0 for
                exact.

        Returns:
            For each object a list of rings, int32 [K, 2], x and y of the outermost pixels of a part
            of it that hangs together (diagonal neighbours do). Holes are closed: every ring is an
            area of its own, and `cv2.fillPoly` of it gives the part's pixels; `rle` keeps holes. A
            part of one pixel is a ring of one point. No ring where an object has no pixel.

        Raises:
            ValueError: the tolerance is no number from 0 on.
        """
        return [one.polygons(tolerance) for one in self]

    def rle(self) -> list[rle.Rle]:
        """Each mask at full size in COCO's compressed run lengths, as `pycocotools` reads them.

        Returns:
            For each object `{"size": [height, width], "counts": "…"}`, ready for JSON.
        """
        return [one.rle() for one in self]

    def select(self, index: Several) -> Instances:
        """The instances that a boolean mask, places or a slice picks, in that order."""
        index = picked(index)
        return with_fields(
            self,
            boxes=self.boxes[index],
            scores=self.scores[index],
            labels=self.labels[index],
            masks=self.masks[index],
            track_ids=None if self.track_ids is None else self.track_ids[index],
            mask_boxes=None if self.mask_boxes is None else self.mask_boxes[index],
            colours=None if self.colours is None else self.colours[index],
        )

    def joined(self, others: Sequence[Instances]) -> Instances:
        """These and others of the same picture or film, best first, without identities and colours.

        Args:
            others: found by the same model; `unsure` of theirs is left out.

        Raises:
            ValueError: they have other class names, or masks of another number of cells.
        """
        every, names = joinable((self, *others))
        like = replace(self, class_names=names, unsure=None)
        return replace(ranked(every, like), track_ids=None)

    def mirrored(self) -> Instances:
        """The instances of the same picture with left and right exchanged."""
        width = self.picture_size[1]

        def across(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
            left, top, right, bottom = boxes.T
            return np.stack([width - right, top, width - left, bottom], axis=1)

        return replace(
            self,
            boxes=across(self.boxes),
            masks=self.masks[:, :, ::-1],
            mask_boxes=None if self.mask_boxes is None else across(self.mask_boxes),
            unsure=None if self.unsure is None else self.unsure.mirrored(),
        )

    def with_tracks(self, track_ids: NDArray[np.int64]) -> Instances:
        """The same instances, each with an identity over time (int64 [N])."""
        return replace(self, track_ids=track_ids)

    def full_masks(self) -> NDArray[np.bool_]:
        """Masks at full picture size, bool [N, H, W]: large, so made only when asked for."""
        height, width = self.picture_size
        full = np.zeros((len(self), height, width), np.bool_)
        for box, mask, target in zip(self.paste_boxes, self.masks, full, strict=True):
            pasted = paste_mask(mask, box, width, height, self.mask_threshold)
            if pasted is not None:
                (y1, y2, x1, x2), inside = pasted
                target[y1:y2, x1:x2] = inside
        return full


def box_iou(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """IoU of every box (N, 4) with every other (M, 4), float32 (N, M) in 0..1."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    sides = np.maximum(np.minimum(first[:, None, 2:], second[None, :, 2:]) - low, 0)
    shared = sides[..., 0] * sides[..., 1]
    areas = [(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.asarray(shared / np.maximum(union, 1e-6), np.float32)
