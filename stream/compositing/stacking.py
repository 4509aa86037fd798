"""Which of a frame's objects is in front where their masks overlap."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances
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


def stacked(instances: Instances, threshold: float) -> list[int]:
    """The places of a frame's objects, what is farthest behind first.

    What is much smaller is in front, as a ball before a man, however sure each of them is. Of
    others that overlap, whoever was there first is: scores change places, and so would the colour
    of what two masks share. Where nothing is followed the surer one is.

    Args:
        instances: of one frame, best first.
        threshold: above what a soft mask is the object, 0..1.
    """
    count = len(instances)
    ranks = np.arange(count) if instances.track_ids is None else instances.track_ids
    order = sorted(range(count), key=lambda index: (-int(ranks[index]), -index))
    before = _behind_it(instances, threshold)
    if not before:
        return order
    placed: list[int] = []
    while order:
        # The farthest behind that has nothing larger behind it any more; areas form no circle.
        waiting = set(order)
        index = next(one for one in order if not before.get(one, set()) & waiting)
        order.remove(index)
        placed.append(index)
    return placed


def _behind_it(instances: Instances, threshold: float) -> dict[int, set[int]]:
    """For objects that meet much larger ones, which those are."""
    if len(instances) < 2:
        return {}
    boxes = _finite(instances.paste_boxes)
    shared = _shared(boxes)
    sizes = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-6)
    near = shared > 0
    np.fill_diagonal(near, False)
    if not near.any():
        return {}
    inside = (instances.masks > threshold).view(np.uint8)
    cells = np.array([cv2.countNonZero(mask) for mask in inside])
    areas = cells / inside[0].size * sizes
    shares = areas[:, None] / np.maximum(areas, 1e-6)[None]
    least = np.where(shares < _SMALL, _MEETS, _WHOLLY)
    maybe = near & (shares < _SMALLER) & (shared > least * areas[:, None])
    found: dict[int, set[int]] = {}
    for small, large in np.argwhere(maybe).tolist():
        if _covered(inside[small], boxes[small], inside[large], boxes[large]) > least[small, large]:
            found.setdefault(small, set()).add(large)
    return found


def _finite(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.clip(np.nan_to_num(boxes.astype(np.float64)), -_FAR, _FAR)


def _shared(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The area that each two boxes share, float64 [N, N]."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared: NDArray[np.float64] = np.clip(high - low, 0, None).prod(axis=2)
    return shared


def _covered(
    mask: NDArray[np.uint8],
    box: NDArray[np.float64],
    other: NDArray[np.uint8],
    theirs: NDArray[np.float64],
) -> float:
    """Which share of a mask's cells lies within another mask, by their middles; 0..1."""
    rows, columns = mask.shape
    cells = np.array([columns, rows])
    size = np.maximum(theirs[2:] - theirs[:2], 1e-3)
    scale = (box[2:] - box[:2]) / size
    shift = (box[:2] - theirs[:2]) / size * cells + 0.5 * scale - 0.5
    place = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    there = cv2.warpAffine(other, place, (columns, rows), flags=flags)
    count = cv2.countNonZero(mask)
    return cv2.countNonZero(cv2.bitwise_and(mask, there)) / count if count else 0.0


class Stack:
    """Which of a frame's objects is in front at each pixel, as far as their boxes meet.

    What each hides of the others is taken from one picture of ranks, so that a crowd costs as much
    for each of its people as a pair does.

    Attributes:
        order: the places of the instances, what is farthest behind first.
        covered: bool [N], whether anything may be in front of each.
        covers: bool [N], whether each may be in front of anything.
    """

    def __init__(self, instances: Instances, threshold: float) -> None:
        """Orders the objects of a frame; see `stacked`."""
        self.order = stacked(instances, threshold)
        count = len(self.order)
        self._ranks = np.empty(count, np.int64)
        self._ranks[self.order] = np.arange(1, count + 1)
        meets = _shared(_finite(instances.paste_boxes)) > 0
        behind = meets & (self._ranks[:, None] < self._ranks[None])
        self.covered: NDArray[np.bool_] = np.asarray(behind.any(axis=1), np.bool_)
        self.covers: NDArray[np.bool_] = np.asarray(behind.any(axis=0), np.bool_)
        self._plane: NDArray[np.uint8] | NDArray[np.uint16] | None = None

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
