"""Which of a frame's objects is in front where their masks overlap."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances
from stream.kernels import compiled
from stream.roi import Window

_MEETS = 0.02
"""Masks that share less than this of the smaller one lie beside each other."""

_FAR = 1e6
"""Pixels from which on it does not matter how far away a box reaches."""

_SMALL = 0.3
"""What has less than this share of another's area is in front of it: it would not be seen else. How
far it lies within the other would say so too, but a ball that is thrown comes and goes there, and
the areas of two people change places."""

_WHOLLY, _SMALLER = 0.85, 0.8
"""So is what lies to the first share within another and has less than the second share of its area:
nothing would be left of it."""


_BEFORE = 3
"""What the compiled loops say of an object that is before another."""

_NOTHING: NDArray[np.bool_] = np.zeros(1, np.bool_)
"""What is in front of an object that is alone."""
_NOTHING.flags.writeable = False

_LIMITS = np.array([_MEETS, _SMALL, _WHOLLY, _SMALLER])


def _order(instances: Instances, before: NDArray[np.bool_]) -> list[int]:
    """The places of a frame's objects, what is farthest behind first.

    What is much smaller is in front, as a ball before a man, however sure each of them is. Of
    others that overlap, whoever was there first is: scores change places, and so would the colour
    of what two masks share. Where nothing is followed the surer one is.

    Args:
        instances: of one frame, best first.
        before: bool [N, N], as `_related` finds it.
    """
    count = len(instances)
    ranks = range(count) if instances.track_ids is None else instances.track_ids.tolist()
    order = sorted(range(count), key=lambda index: (-ranks[index], -index))
    larger: dict[int, set[int]] = {}
    for small, large in np.argwhere(before).tolist():
        larger.setdefault(small, set()).add(large)
    if not larger:
        return order
    placed: list[int] = []
    while order:
        # The farthest behind that has nothing larger behind it any more; areas form no circle.
        waiting = set(order)
        index = next(one for one in order if not larger.get(one, set()) & waiting)
        order.remove(index)
        placed.append(index)
    return placed


def _related(
    masks: NDArray[np.float32], boxes: NDArray[np.float32], threshold: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which objects meet, and which of them are before others as these are much larger.

    Args:
        masks: float32 [N, M, M], 0..1.
        boxes: float32 [N, 4], x1, y1, x2, y2 in pixels; anything, also NaN.
        threshold: a cell above this is the object's.

    Returns:
        bool [N, N], whether the boxes of two share an area, and whether the first of two is before
        the second.
    """
    finite = np.clip(np.nan_to_num(boxes.astype(np.float64)), -_FAR, _FAR)
    kernels = compiled()
    if kernels is not None:
        found = kernels.before(masks, finite, threshold, _LIMITS)
        return found > 0, found == _BEFORE
    shared = _shared(finite)
    meets, before = shared > 0, np.zeros(shared.shape, np.bool_)
    near = meets & ~np.eye(len(masks), dtype=np.bool_)
    if near.any():
        inside = masks > threshold
        sizes = np.maximum((finite[:, 2:] - finite[:, :2]).prod(axis=1), 1e-6)
        areas = np.count_nonzero(inside, axis=(1, 2)) / inside[0].size * sizes
        shares = areas[:, None] / np.maximum(areas, 1e-6)[None]
        least = np.where(shares < _SMALL, _MEETS, _WHOLLY)
        maybe = near & (shares < _SMALLER) & (shared > least * areas[:, None])
        for small, large in np.argwhere(maybe).tolist():
            part = _covered(inside[small], finite[small], inside[large], finite[large])
            before[small, large] = part > least[small, large]
    return meets, before


def _shared(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The area that each two boxes share, float64 [N, N]."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared: NDArray[np.float64] = np.clip(high - low, 0, None).prod(axis=2)
    return shared


def _covered(
    mask: NDArray[np.bool_],
    box: NDArray[np.float64],
    other: NDArray[np.bool_],
    theirs: NDArray[np.float64],
) -> float:
    """Which share of a mask's cells lies within another mask, by their middles; 0..1."""
    there = []
    for side, cells in ((1, mask.shape[0]), (0, mask.shape[1])):
        middles = box[side] + (np.arange(cells) + 0.5) / cells * (box[side + 2] - box[side])
        size = max(theirs[side + 2] - theirs[side], 1e-3)
        at = np.floor((middles - theirs[side]) / size * cells)
        there.append(np.where((at >= 0) & (at < cells), at, -1).astype(np.int64))
    lies = (there[0] >= 0)[:, None] & (there[1] >= 0)[None]
    within = mask & lies & other[np.ix_(*there)]
    count = np.count_nonzero(mask)
    return np.count_nonzero(within) / count if count else 0.0


class Stack:
    """Which of a frame's objects is in front at each pixel, as far as their boxes meet.

    What each hides of the others is taken from one picture of ranks, so that a crowd costs as much
    for each of its people as a pair does.

    Attributes:
        order: the places of the instances, what is farthest behind first: what is much larger,
            and of others what came later, or is less sure.
        covered: bool [N], whether anything may be in front of each.
        covers: bool [N], whether each may be in front of anything.
    """

    def __init__(self, instances: Instances, threshold: float) -> None:
        """Orders the objects of a frame.

        Args:
            instances: of one frame, best first.
            threshold: above what a soft mask is the object, 0..1.
        """
        count = len(instances)
        self.order = list(range(count))
        self.covered = self.covers = _NOTHING[:count]
        self._ranks: NDArray[np.int64] = np.arange(1, count + 1)
        self._plane: NDArray[np.uint8] | NDArray[np.uint16] | None = None
        if count > 1:
            self.covered, self.covers = np.empty((2, count), np.bool_)
            meets, before = _related(instances.masks, instances.paste_boxes, threshold)
            self.order = _order(instances, before)
            self._ranks[self.order] = np.arange(1, count + 1)
            behind = meets & (self._ranks[:, None] < self._ranks[None])
            behind.any(axis=1, out=self.covered)
            behind.any(axis=0, out=self.covers)

    def may_hide(self, index: int) -> bool:
        """Whether anything may be in front of an object."""
        return bool(self.covered[index])

    @property
    def ready(self) -> bool:
        """Whether `lay` was called."""
        return self._plane is not None

    def lay(
        self, plane: NDArray[np.uint8], masks: Iterable[tuple[int, NDArray[np.uint8], Window]]
    ) -> None:
        """Writes down which object is in front.

        Args:
            plane: uint8 of the picture's size, all 0; kept, and another made where it holds too few
                numbers.
            masks: of the objects of `fronts`: their places, uint8 1 or 0, and where these lie in
                the picture.
        """
        self._plane = plane if len(self.order) < 256 else np.zeros(plane.shape, np.uint16)
        for index, inside, window in masks:
            part = self._part(window)
            rank = float(self._ranks[index])
            own = inside if part.itemsize == 1 else inside.astype(np.uint16)
            cv2.max(part, cv2.threshold(own, 0, rank, cv2.THRESH_BINARY)[1], part)

    @property
    def fronts(self) -> list[int]:
        """The places of those that may be in front of another."""
        return np.flatnonzero(self.covers).tolist()

    def seen(self, index: int, inside: NDArray[np.uint8], window: Window) -> NDArray[np.uint8]:
        """A mask without what is in front of it, uint8 1 or 0; `lay` was called.

        Args:
            index: of the object.
            inside: uint8 1 or 0, its mask.
            window: where that lies in the picture.
        """
        rank = float(self._ranks[index])
        bare = cv2.threshold(self._part(window), rank, 1, cv2.THRESH_BINARY_INV)[1]
        return np.asarray(cv2.bitwise_and(inside, bare.astype(np.uint8, copy=False)), np.uint8)

    def _part(self, window: Window) -> NDArray[np.uint8] | NDArray[np.uint16]:
        assert self._plane is not None
        top, bottom, left, right = window
        return self._plane[top:bottom, left:right]
