"""What was covered a moment ago."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.compositing.bits import WORD, words_of
from stream.compositing.coverage import NO_PATCHES, Grid, Patches, halves_of
from stream.compositing.specks import drop_loose
from stream.instances import box_iou
from stream.kernels import compiled
from stream.kernels.conceal import Before
from stream.kernels.memory import address_of

STANDS = 0.7
"""Overlap of boxes from which on what was covered a moment ago is covered still: masks lose a hat
or a hand for some frames while nobody moves."""
_WHOLE, _INSIDE = 0.5, 0.9
"""Share of a box of a moment ago from which on one now, of which so much lies within it, is that of
one who stands there still: masks lose a shoulder or an arm for some frames, and the box with it."""
_LATELY, _SLOT = 1.0, 0.2
"""For how many seconds, and of how many of them what was covered is kept together."""
_SAME = 0.8
"""Overlap of boxes from which on what was covered of two frames is kept together."""


class Covered(NamedTuple):
    """What was covered of the objects of a frame, or of several.

    Attributes:
        seconds: when, at the latest.
        boxes: float32 [N, 4], where they were.
        longest: of each the longer side of its box in pixels; of several frames' together none.
        patches: of the N.
        memory: where boxes and items of patches lie.
    """

    seconds: float
    boxes: NDArray[np.float32]
    longest: list[float]
    patches: Patches
    memory: Before = (0, 0, 0)


NOTHING = Covered(-math.inf, np.empty((0, 4), np.float32), [], NO_PATCHES)


class Lately:
    """Covers of the last second: in each slot of time what any frame of it covered.

    Whoever waves shows an arm in a frame or two, so none may be left out; and were each frame's
    kept, looking through all of them would take longer than covering what is there.

    Args:
        lasting: for how many seconds, at most; no longer than a second.
    """

    def __init__(self, lasting: float) -> None:
        self._lasting = min(_LATELY, lasting)
        self._length = min(_SLOT, self._lasting)
        self._slot = 0
        self._kept: deque[Covered] = deque()

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Covered]:
        return iter(self._kept)

    def clear(self) -> None:
        """Forgets all of it."""
        self._kept.clear()

    def leave(self, now: float) -> None:
        """Forgets what is over at a time in seconds."""
        while self._kept and not 0 < now - self._kept[0].seconds <= self._lasting:
            self._kept.popleft()

    def add(self, found: Covered, now: float, grid: Grid) -> None:
        """Keeps what was covered in a frame.

        Args:
            found: of its objects, whose cells are nobody else's.
            now: when, in seconds.
            grid: of all that is kept.
        """
        if self._length <= 0:
            return
        slot = math.floor(now / self._length)
        if self._kept and slot == self._slot:
            if found.longest:
                self._kept[-1] = united(grid, self._kept[-1], found)
            return
        if self._kept:  # It is kept for longer than a moment.
            drop_loose(self._kept[-1].patches)
        if found.longest:
            self._kept.append(found)
            self._slot = slot


def united(grid: Grid, one: Covered, later: Covered) -> Covered:
    """What was covered of objects in some frames or in a later one.

    Who has moved on is there twice; so nobody who stays for a moment where another was is covered
    where that one came from.

    Args:
        grid: of both.
        one: of some frames, of at least one object.
        later: of another, of at least one.

    Returns:
        Of all, with cells of their own and the later box of two.
    """
    kernels = compiled()
    halves = list({id(some): some for some in (*one.patches.kept, *later.patches.kept)}.values())
    if kernels is not None:
        boxes, items, cells = kernels.united(one.memory, later.memory, _SAME, grid.cells)
    else:
        boxes, items, cells = _united(one, later)
    own = Patches(items, cells, np.arange(len(items)), halves)
    return Covered(
        later.seconds, boxes, [], own, (address_of(boxes), address_of(items), len(boxes))
    )


def _united(
    one: Covered, later: Covered
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.uint64]]:
    """What the compiled loop `unite` gives, to the last bit."""
    own: list[list[tuple[list[int], NDArray[np.uint64]]]] = []
    for row, item in enumerate(one.patches.items.tolist()):
        own.append([(item, one.patches.words(row))])
    boxes = list(one.boxes)
    for row, place in enumerate(_same(later.boxes, one.boxes, _SAME)):
        found = later.patches.items[row].tolist(), later.patches.words(row)
        if place < 0:
            own.append([found])
            boxes.append(later.boxes[row])
        else:
            own[place].append(found)
            boxes[place] = later.boxes[row]
    items, parts, size = np.empty((len(own), 8), np.int64), [], 0
    for place, both in enumerate(own):
        tops, bottoms, lefts, rights, _, _, radii, _ = zip(*(item for item, _ in both), strict=True)
        top, bottom, left, right = min(tops), max(bottoms), min(lefts), max(rights)
        part = np.zeros((bottom - top, words_of(left, right)), np.uint64)
        for item, words in both:
            start = item[2] // WORD - left // WORD
            part[item[0] - top : item[1] - top, start : start + words.shape[1]] |= words
        radius, stride = max(radii), 8 * part.shape[1]
        items[place] = (top, bottom, left, right, 8 * size, stride, radius, halves_of(radius)[0])
        parts.append(part.ravel())
        size += part.size
    cells = np.concatenate(parts)
    items[:, 4] += address_of(cells)
    return np.stack(boxes), items, cells


def _same(boxes: NDArray[np.float32], others: NDArray[np.float32], share: float) -> list[int]:
    """Which of some boxes each of others overlaps, as far as one who stands does; else -1."""
    kernels = compiled()
    if kernels is not None:
        return kernels.standing(boxes, others, share)
    overlaps = box_iou(boxes, others)
    stands = overlaps.max(axis=1) >= share
    return [int(one) for one in np.where(stands, overlaps.argmax(axis=1), -1)]


def standing(before: NDArray[np.float32], now: NDArray[np.float32]) -> list[int]:
    """Which box of now each one of before is still; -1 where it is none. float32 [N, 4], [M, 4]."""
    likest = _same(before, now, STANDS)
    if -1 in likest:
        rows = [row for row, like in enumerate(likest) if like < 0]
        for row, like in zip(rows, _shrunk(before[rows], now), strict=True):
            likest[row] = like
    return likest


def _shrunk(before: NDArray[np.float32], now: NDArray[np.float32]) -> list[int]:
    """Which box of now is what is left of each one of before; -1 where none is."""
    first, second = before[:, None].astype(np.float64), now.astype(np.float64)
    sides = np.minimum(first[..., 2:], second[:, 2:]) - np.maximum(first[..., :2], second[:, :2])
    shared = np.prod(np.maximum(sides, 0), axis=2)
    whole, own = (np.prod(one[..., 2:] - one[..., :2], axis=-1) for one in (first, second))
    left = (shared > 0) & (shared >= _WHOLE * whole) & (shared >= _INSIDE * own)
    return [int(one) for one in np.where(left.any(axis=1), (shared * left).argmax(axis=1), -1)]
