"""Layers that cover objects, so that nobody can be recognised."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.compositing.canvas import Canvas
from stream.compositing.conceal import conceal, conceal_lately
from stream.compositing.coverage import Grid, Patches, grid_of, patches
from stream.compositing.lately import NOTHING, STANDS, Covered, Lately, standing
from stream.compositing.layer import Layer
from stream.compositing.mosaic import IN_OBJECT
from stream.compositing.occasions import Occasions
from stream.compositing.scenery import Glance, is_elsewhere
from stream.compositing.selection import ALL
from stream.compositing.sighting import NOBODY, Seen, Sighting, sighted
from stream.compositing.style import Style
from stream.instances import Instances, box_iou
from stream.kernels.memory import address_of
from stream.motion.scenes import is_other_scene

_GROWN = 0.5
"""Where a mask is at least half as sure as it must be for an object's pixel, it is covered."""
_AROUND = 0.015
"""Of the picture's shorter side: how far the cover reaches beyond."""
_BEYOND = 0.02
"""Of the object's longer side: the same, where it is more."""
_SAME = 0.5
"""Overlap of boxes from which on an object that is missing has been found under another number."""
_SWELLING = 0.4
"""By how much of its size the cover of a missing object grows in a second, as it may move."""
_WITHIN = 0.8
"""Share of a box from which on what is unsure lies within what was found: a limb, mostly."""
_UNSURE = 0.3
"""Of the time for which what was covered stays covered: for how long what was never sure does."""


class Cover(Layer):
    """Covers each object, generously, and for a while goes on covering where it was last found.

    A detector misses an object now and then; its number, or where it is, says that it is still the
    same one. What the detector doubts is covered too: nobody is to be seen because of a low score.
    """

    pastes: ClassVar[int] = 0
    covers: ClassVar[bool] = True
    hard: ClassVar[bool] = False
    """Whether coarse covers are squares that end without a transition."""
    remembers: ClassVar[bool] = True

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self._latest = NOBODY
        self._others: list[Seen] = []
        self._covered = Lately(style.cover_memory)
        self._grid: Grid | None = None
        self._size: tuple[int, int] | None = None
        self._glance: Glance | None = None
        self._before: Glance | None = None
        self._last = self._cut = -math.inf
        self._by_memory = Occasions()
        self._by_doubt = Occasions()

    @abstractmethod
    def block(self, canvas: Canvas, longest: float) -> int:
        """How coarse an object is shown, in pixels; 0 where nothing of it is.

        Args:
            canvas: the frame.
            longest: the longer side of the object's box in pixels.
        """

    def _block(self, canvas: Canvas, longest: float) -> int:
        # One square that holds the whole picture is as coarse as any larger one.
        return self.block(canvas, min(longest, IN_OBJECT * max(canvas.size)))

    @abstractmethod
    def plain(self, canvas: Canvas) -> Sequence[int] | None:
        """The code value of each plane that covers objects; None for the picture, coarsely."""

    @property
    def remarks(self) -> list[str]:
        """In which frames an object was covered that was not found there, or hardly."""
        return [
            *self._by_memory.remark("an object was covered where it was last found", self.photos),
            *self._by_doubt.remark(
                "something was covered that the model was not sure of", self.photos
            ),
        ]

    def plan(self, canvas: Canvas) -> None:
        """Looks at the picture before anything is painted."""
        self._glance = Glance(canvas)

    def paint(self, canvas: Canvas) -> None:
        """Covers what was found and what is missing."""
        now = canvas.seconds
        glance = Glance(canvas) if self._glance is None else self._glance
        self._resize(canvas.instances.picture_size)
        missing = self._update(canvas.instances, now, glance)
        grid = grid_of(canvas.size, canvas.grid)
        if grid != self._grid:
            self._grid = grid
            self._covered.clear()
        there = _shaped(
            canvas, grid, self._latest, [one for one in self._others if one.seconds == now]
        )
        self._covered.leave(now)
        if not missing and self._at_once(canvas, grid, there):  # as mostly
            self._covered.add(there, now, grid)
            return
        gone = _shaped(canvas, grid, NOBODY, missing)
        # Objects that are shown equally coarse are covered together.
        alike: dict[int, list[Patches]] = {}
        for own in (there, gone):
            blocks = [self._block(canvas, one) for one in own.longest]
            _sort(own.patches, blocks, range(len(blocks)), alike)
            if own is there:
                self._lately(there, blocks, alike)
        self._covered.add(there, now, grid)
        for block in sorted(alike):
            conceal(
                canvas,
                grid,
                alike[block],
                values=self.plain(canvas),
                block=block,
                hard=self.hard,
            )

    def _resize(self, size: tuple[int, int]) -> None:
        """Moves who was seen to where a picture of another size shows the same."""
        before, self._size = self._size, size
        if before is not None and before != size:
            known = [*self._latest.each(), *self._others]
            self._latest = NOBODY
            self._others = [one.resized(before, size) for one in known]

    def _at_once(self, canvas: Canvas, grid: Grid, found: Covered) -> bool:
        """Covers objects and what was covered a moment ago, if all is coarse alike and has stood.

        Returns:
            Whether it was done; it is where nothing else was than `_lately` and others do.
        """
        blocks = {self._block(canvas, one) for one in found.longest}
        if len(blocks) != 1:
            return False
        return conceal_lately(
            canvas,
            grid,
            found.memory,
            [one.memory for one in self._covered],
            STANDS,
            values=self.plain(canvas),
            block=blocks.pop(),
            hard=self.hard,
        )

    def _lately(
        self, found: Covered, blocks: Sequence[int], alike: dict[int, list[Patches]]
    ) -> None:
        """Adds what was covered a moment ago of those that have not moved since.

        What was there is as coarse as what is there now.
        """
        if not len(found.boxes) or not self._covered:
            return
        likest = standing(np.concatenate([one.boxes for one in self._covered]), found.boxes)
        start = 0
        for one in self._covered:
            own = likest[start : start + len(one.boxes)]
            rows = [row for row, like in enumerate(own) if like >= 0]
            _sort(one.patches, [blocks[own[row]] for row in rows], rows, alike)
            start += len(own)

    def _update(self, instances: Instances, now: float, glance: Glance) -> list[Seen]:
        """Remembers what was found; returns what was found before and is missing.

        Where behind a cut another scene is seen there, it is not missing, but may be once that is
        over: what looks like a cut may be somebody close before the camera.
        """
        if now < self._last:  # Another source, or from the start again.
            self._latest, self._others = NOBODY, []
            self._covered.clear()
            self._cut, self._before = -math.inf, None
        before, self._last, self._before = self._before, now, glance
        latest = sighted(instances, now, glance, sure=True)
        unsure = instances.unsure
        doubted = []
        if unsure is not None and len(unsure):
            doubted = list(sighted(unsure, now, glance, sure=False).each())
        if not doubted and not self._others and self._latest.all_in(latest):
            self._latest = latest
            self._by_memory.add(now, done=False)
            self._by_doubt.add(now, done=False)
            return []
        seen_before, found = [*self._latest.each(), *self._others], list(latest.each())
        gone = [
            seen
            for seen in seen_before
            if seen.seconds < now
            and now - seen.seconds <= self.style.cover_memory * (1.0 if seen.sure else _UNSURE)
        ]
        known = {seen.identity for seen in seen_before} - {None}
        numbers = {one.identity for one in found} - {None}
        gone = [seen for seen in gone if seen.identity not in numbers]
        # One who was known before is nobody else, however close: one hides the other.
        new = [one for one in found if one.identity not in known]
        gone = [seen for seen, place in zip(gone, _places(gone, new), strict=True) if place is None]
        missing = []
        for seen, place in zip(gone, _places(gone, doubted), strict=True):
            if place is None:
                missing.append(seen)
            else:  # It is still there, though the model is not sure any more.
                again = doubted[place]
                doubted[place] = again._replace(identity=seen.identity, sure=seen.sure)
        if self.style.select != ALL:  # Of what nobody chose, nothing is covered.
            doubted = [one for one in doubted if one.sure]
        self._latest, self._others = latest, doubted + missing
        size = instances.picture_size
        # A cut only counts where somebody is missing, who was in each frame since last found.
        if missing and before is not None and is_other_scene(before.scenery, glance.scenery):
            self._cut = now
        missing = [
            one
            for one in missing
            if one.seconds >= self._cut
            or not is_elsewhere(one.glance.scenery, glance.scenery, one.box, size)
        ]
        self._by_memory.add(now, done=any(seen.sure for seen in missing))
        self._by_doubt.add(
            now,
            done=any(not lies_within(one.box, latest.boxes) for one in doubted)
            or any(not seen.sure for seen in missing),
        )
        return missing


def _shaped(canvas: Canvas, grid: Grid, found: Sighting, others: Sequence[Seen]) -> Covered:
    """What is covered of objects in a picture; of those that are missing more and more."""
    boxes, places = found.boxes, found.mask_boxes
    scales = [1.0] * len(boxes)
    if others:
        now = canvas.seconds
        scales += [1 + _SWELLING * (now - one.seconds) for one in others]
        boxes = np.concatenate([boxes, [one.box for one in others]])
        grown = zip(others, scales[len(found.boxes) :], strict=True)
        places = np.concatenate([places, [_scaled(one.mask_box, by) for one, by in grown]])
    if not len(boxes):
        return NOTHING
    longest = [
        max(x2 - x1, y2 - y1) * by
        for (x1, y1, x2, y2), by in zip(boxes.tolist(), scales, strict=True)
    ]
    # An object may be far larger than the picture, of which it says nothing.
    size = canvas.size
    least, most = max(2.0, _AROUND * min(size)), 0.1 * max(size)
    reaches = np.array([max(least, min(_BEYOND * one, most)) for one in longest])
    masks = [one.mask for one in others]
    own = patches(grid, found.masks, masks, places, _GROWN * canvas.threshold, reaches)
    if len(own.which) < len(longest):
        boxes, longest = boxes[own.which], [longest[one] for one in own.which.tolist()]
    boxes = np.ascontiguousarray(boxes, np.float32)
    memory = address_of(boxes), address_of(own.items), len(boxes)
    return Covered(canvas.seconds, boxes, longest, own, memory)


def _sort(
    patches: Patches,
    blocks: Sequence[int],
    rows: Sequence[int],
    alike: dict[int, list[Patches]],
) -> None:
    """Puts patches at some places to the others that are shown as coarsely."""
    if len(set(blocks)) == 1:
        alike.setdefault(blocks[0], []).append(patches.some(rows))
        return
    sorts: dict[int, list[int]] = {}
    for row, block in zip(rows, blocks, strict=True):
        sorts.setdefault(block, []).append(row)
    for block, some in sorts.items():
        alike.setdefault(block, []).append(patches.some(some))


def _places(gone: Sequence[Seen], found: Sequence[Seen]) -> list[int | None]:
    """Which of those found is in the place of each that is gone: one each, the nearest first."""
    places: list[int | None] = [None] * len(gone)
    if not gone or not found:
        return places
    overlaps = box_iou(np.stack([one.box for one in gone]), np.stack([one.box for one in found]))
    while overlaps.max() >= _SAME:
        which, place = divmod(int(overlaps.argmax()), len(found))
        places[which] = place
        overlaps[which, :] = overlaps[:, place] = -1
    return places


def lies_within(box: NDArray[np.float32], boxes: NDArray[np.float32]) -> bool:
    """Whether what is unsure lies in what was found.

    Args:
        box: of what is unsure, float32 [4]: x1, y1, x2, y2.
        boxes: of what was found, float32 [N, 4].
    """
    if not len(boxes):
        return False
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    area = float(np.prod(box[2:] - box[:2]))
    return bool(shared.max() >= _WITHIN * area)


def _scaled(box: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """A box grown around its middle."""
    if scale == 1:
        return box
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * np.float32(scale)
    return np.concatenate([middle - half, middle + half]).astype(np.float32)
