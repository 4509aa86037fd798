"""Several views of a picture, mirrored, larger and smaller, whose answers become one.

Known as test-time augmentation. What a network makes of the same picture mirrored or at another
size errs in other places: boxes and masks are averaged, weighted by their scores, and what only
some of the views show is believed less. The bundled model's people, int8, mask AP on the 160
pictures of COCO and the 178 others of `val`, precision and recall of boxes at 0.5 on the former:

    1 view     0.436   0.873   0.84   0.65
    2 views    0.486   0.886   0.83   0.76
    3 views    0.484   0.881   0.82   0.75
    4 views    0.492   0.883   0.84   0.75
    6 views    0.494   0.885   0.87   0.73

Boxes are joined as in Solovyev et al., "Weighted boxes fusion", 2021, one of each view.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.errors import UsageError
from stream.inference.contract import Geometry, Resize
from stream.inference.postprocess import Raw, resampled, to_picture
from stream.inference.preprocess import Prepared
from stream.instances import box_iou
from stream.types import Array

_ALIKE = 0.55
"""Boxes of a class that overlap by so much (IoU) are one object."""
_LEAST = 0.05
"""A score below this says nothing that the other views do not."""
_DOUBT = 0.5
"""The power of the share of views in which something is seen, by which its score is multiplied."""
_LARGE, _SMALL = (0.25, 0.5), (0.1, 0.3)
"""Sides of an object, against the picture's, between which a larger view is heard less and less,
and a smaller one more and more."""
_LEAST_HEARD = 0.01
_HEARD = 0.1
"""From this share of an object on, a view's mask is drawn as far as it reaches: cut off where
others end, it would end in a straight line."""
_SAME = 1.05
"""Views whose scales differ by less have the same."""


@dataclass(frozen=True, slots=True)
class View:
    """How a picture is looked at.

    Attributes:
        scale: of the input's sides, against the model's own.
        mirrored: whether left and right are exchanged.
    """

    scale: Fraction
    mirrored: bool


_AS_IT_IS, _LARGER, _SMALLER, _SMALLEST = map(Fraction, ("1", "5/3", "5/6", "2/3"))
_ALONE = (View(_AS_IT_IS, False), View(_AS_IT_IS, True))
"""Where a model takes its pictures at one size, or one look is enough."""
VIEWS = (
    View(_LARGER, False),
    View(_SMALLER, True),
    View(_SMALLEST, False),
    View(_LARGER, True),
    View(_SMALLER, False),
    View(_AS_IT_IS, False),
)
"""In the order in which they are taken, where there are several. A larger and a smaller one say
more than the size between them does, mirrored or not, and what fills a picture is seen best where
it is small, which costs little."""


LEAST_SIDE, LONGEST_SIDE = 192, 2048
"""Of an input's shorter side, in pixels. With less the bundled model has too few places to choose
from in a narrow picture, or in its smaller view."""
_LEAST_OF_VIEWS = 160
"""Likewise of a smaller view's: with less it is no smaller than this, or than the model's own."""


def at_size(side: int | None, resize: Resize, *, any_size: bool) -> Resize:
    """How a picture is resized for an input whose shorter side is that, or nearly.

    Args:
        side: in pixels, rounded to what the policy's multiple divides; None for the model's own.
        resize: the model's own policy.
        any_size: whether the model takes inputs of any size.

    Raises:
        UsageError: the model has one size, or it is out of range.
    """
    if side is None:
        return resize
    if not isinstance(side, int | np.integer) or not LEAST_SIDE <= side <= LONGEST_SIDE:
        raise UsageError(
            f"an input's shorter side has {LEAST_SIDE} to {LONGEST_SIDE} pixels, not {side!r}"
        )
    if resize.mode == "native":
        raise UsageError(
            "the model resizes pictures itself, to a size that was chosen when it was exported: "
            "export it with another --size, or without --exact"
        )
    own = resize.shorter_side
    scaled = resize.scaled(Fraction(side, own))
    if not any_size and scaled != resize:
        raise UsageError(
            f"the model takes its pictures at one size, with a shorter side of {own} pixels: "
            "export it with another --size"
        )
    return scaled


def views(count: int, resize: Resize, *, any_size: bool) -> tuple[tuple[Resize, bool], ...]:
    """The views that there are of a picture: how each is resized, and whether it is mirrored.

    Args:
        count: of views, from 1 on.
        resize: the policy of one view alone.
        any_size: whether the model takes inputs of any size.

    Raises:
        UsageError: there are not so many.
    """
    if not isinstance(count, int | np.integer) or not 1 <= count <= len(VIEWS):
        raise UsageError(f"a picture has 1 to {len(VIEWS)} views, not {count!r}")
    fixed = not any_size or resize.mode == "native"
    if fixed and count > 2:
        raise UsageError(
            "the model takes its pictures at one size, so that there are two views at most: as "
            "they are, and mirrored"
        )
    taken = _ALONE if fixed or count == 1 else VIEWS
    return tuple((resize.scaled(_scale(one, resize)), one.mirrored) for one in taken[:count])


def _scale(view: View, resize: Resize) -> Fraction:
    if view.scale >= 1:
        return view.scale
    return max(view.scale, min(_AS_IT_IS, Fraction(_LEAST_OF_VIEWS, resize.shorter_side)))


def first_view(resize: Resize, count: int, side: int | None) -> Resize:
    """How the first of several views is resized by a model that takes inputs of any size.

    Args:
        resize: the model's own policy.
        count: of views.
        side: the input's shorter one, in pixels; None for the model's own.

    Raises:
        UsageError: there are not so many views, or no such size.
    """
    (first, _), *_ = views(count, at_size(side, resize, any_size=True), any_size=True)
    return first


def mirrored(prepared: Prepared) -> Prepared:
    """A model's input with the picture in it mirrored, and its margins where they were."""
    (x, y), (width, height) = prepared.geometry.offset, prepared.geometry.content
    inside = (slice(None), slice(y, y + height), slice(x, x + width))
    pixels = prepared.pixels()
    made = pixels.copy()
    made[inside] = pixels[inside][:, :, ::-1]
    return Prepared(made, prepared.geometry, mirrored=True)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one view shows.

    Attributes:
        raw: the model's answer.
        asked: what it was asked.
    """

    raw: Raw
    asked: Prepared


def joined(seen: Sequence[Seen], own: Geometry | None = None) -> Raw:
    """What several views of one picture show together, in pixels of the first one's input.

    Masks lie in frames of their own, whether the model has such or not.

    Args:
        seen: at least one.
        own: where the picture lies as the model would see it in one view, against which others are
            larger or smaller; None for the first.
    """
    first = seen[0].asked.geometry
    own = own or first
    scores = np.concatenate([one.raw.scores for one in seen]).astype(np.float32)
    labels = np.concatenate([one.raw.labels for one in seen])
    boxes = np.concatenate([_moved(one.raw.boxes, one, first) for one in seen])
    masks = [
        mask[:, ::-1] if one.asked.mirrored else mask for one in seen for mask in one.raw.masks
    ]
    reach = [one.raw.boxes if one.raw.mask_boxes is None else one.raw.mask_boxes for one in seen]
    frames = np.concatenate([_moved(*told, first) for told in zip(reach, seen, strict=True)])
    source = np.repeat(np.arange(len(seen)), [len(one.raw.scores) for one in seen])
    scales = np.array([one.asked.geometry.content[0] for one in seen]) / own.content[0]
    found = list[tuple[NDArray[np.float32], float, int, NDArray[np.float32], NDArray[np.float32]]]()
    for members in _objects(boxes, scores, labels, source):
        suited = _suited(scales, boxes[members].mean(0), first)
        weights = suited[source[members]]
        agreed = weights.sum() / suited.sum()
        share = weights * scores[members] / (weights @ scores[members])
        heard = frames[members[share >= _HEARD]]
        frame = np.concatenate([heard[:, :2].min(0), heard[:, 2:].max(0)])
        mask = _mean_mask([masks[one] for one in members], frames[members], share, frame)
        score = weights @ scores[members] / weights.sum() * agreed**_DOUBT
        found.append((share @ boxes[members], score, labels[members[0]], mask, frame))
    return Raw(
        _stacked([one[0] for one in found], 4),
        np.array([one[1] for one in found], np.float32),
        np.array([one[2] for one in found], np.int64),
        _stacked([one[3] for one in found], *seen[0].raw.masks.shape[1:]),
        _stacked([one[4] for one in found], 4),
    )


def _suited(
    scales: NDArray[np.float64], box: NDArray[np.float32], first: Geometry
) -> NDArray[np.float32]:
    """How much each view is heard about an object of a size, above 0 and up to 1.

    What fills much of the picture is beyond what a network knows where it is larger still, and what
    is small is lost where it is smaller (Singh and Davis, "SNIP", 2018).
    """
    sides = np.clip(box[2:] - box[:2], 0, None).astype(np.float64)
    size = float(np.sqrt(sides.prod() / np.prod(first.content)))
    larger = np.interp(size, _LARGE, (1.0, _LEAST_HEARD))
    smaller = np.interp(size, _SMALL, (_LEAST_HEARD, 1.0))
    heard = np.where(scales > _SAME, larger, np.where(scales < 1 / _SAME, smaller, 1.0))
    return heard.astype(np.float32)


def _mean_mask(
    masks: Sequence[NDArray[np.float32]],
    own: NDArray[np.float32],
    share: NDArray[np.float32],
    frame: NDArray[np.float32],
) -> NDArray[np.float32]:
    """The mean of soft masks [M, M], each in a frame of its own, over those that reach a cell."""
    total, reached = np.zeros_like(masks[0], np.float32), np.full_like(masks[0], 1e-6, np.float32)
    for mask, part, place in zip(masks, share, own, strict=True):
        total += part * _in_frame(mask, place, frame)
        reached += part * _in_frame(np.ones_like(mask), place, frame)
    mean: NDArray[np.float32] = np.minimum(total / reached, 1)
    return mean


def _stacked(parts: Sequence[Array], *shape: int) -> NDArray[np.float32]:
    return np.array(parts, np.float32).reshape(-1, *shape)


def _moved(boxes: NDArray[np.float32], one: Seen, first: Geometry) -> NDArray[np.float32]:
    """Boxes [N, 4] of a view in pixels of the first view's input, as it is not mirrored."""
    place = one.asked.geometry
    there = to_picture(boxes, place)
    if one.asked.mirrored:
        there[:, [0, 2]] = place.picture[0] - there[:, [2, 0]]
    moved: NDArray[np.float32] = (there / np.array(first.scale * 2) + first.offset * 2).astype(
        np.float32
    )
    return moved


def _objects(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    labels: NDArray[np.int64],
    source: NDArray[np.intp],
) -> Iterator[NDArray[np.intp]]:
    """Which answers are about one object: of each view one at most, best first."""
    # NaN compares false, so an answer with one is left out here.
    free = scores >= _LEAST
    for best in np.argsort(-scores, kind="stable"):
        if not free[best]:
            continue
        rivals = np.flatnonzero(free & (labels == labels[best]))
        alike = box_iou(boxes[best : best + 1], boxes[rivals])[0]
        order = np.argsort(-alike, kind="stable")
        order = order[alike[order] >= _ALIKE]
        _, nearest = np.unique(source[rivals[order]], return_index=True)
        members = rivals[order[np.sort(nearest)]]
        if best not in members:
            # A box without an area overlaps nothing, not even itself.
            members = np.array([best])
        free[members] = False
        yield members


def _in_frame(
    mask: NDArray[np.float32], own: NDArray[np.float32], frame: NDArray[np.float32]
) -> NDArray[np.float32]:
    """A soft mask [M, M] in the frame `own`, as it is in another one; 0 where it says nothing."""
    cell = np.maximum(own[2:] - own[:2], 1e-6) / mask.shape[0]
    start, end = (frame[:2] - own[:2]) / cell, (frame[2:] - own[:2]) / cell
    return resampled(mask, start, end, cv2.BORDER_CONSTANT)
