"""Layers that cover objects, so that nobody can be recognised."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.compositing.canvas import Canvas
from stream.compositing.conceal import conceal
from stream.compositing.coverage import Grid, Patch, grid_of, patches, raised
from stream.compositing.layer import Layer
from stream.compositing.scenery import Scenery, is_elsewhere, scenery_of
from stream.compositing.selection import ALL
from stream.compositing.style import Style
from stream.instances import Instances, box_iou
from stream.motion.scenes import is_other_scene
from stream.sizes import in_another_size
from stream.words import counted

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
_STANDS = 0.8
"""Overlap of boxes from which on what was covered a moment ago is covered still: masks lose a hat
or a hand for some frames while nobody moves."""
_LATELY, _APART = 0.5, 0.15
"""For how many seconds, and how far apart what is kept for it lies, in seconds."""
_SPANS = 20
"""Spans of time that are said one by one."""


class _Seen(NamedTuple):
    """An object as it was last found, and the picture; `sure` once it reached the threshold."""

    identity: int | None
    box: NDArray[np.float32]
    mask: NDArray[np.uint8]
    mask_box: NDArray[np.float32]
    seconds: float
    scenery: Scenery
    sure: bool = True


class _Covered(NamedTuple):
    """What was covered of an object, whose box had a longer side of so many pixels."""

    seconds: float
    box: NDArray[np.float32]
    longest: float
    patch: Patch


class _Frames:
    """Which frames something was done in, in memory that does not grow."""

    def __init__(self) -> None:
        self._count = 0
        self._spans: list[tuple[float, float]] = []
        self._more = 0
        self._before = False

    def add(self, seconds: float, *, done: bool) -> None:
        """The next frame, and whether it was done there."""
        if done:
            self._count += 1
            if not self._before:
                self._more += len(self._spans) >= _SPANS
                self._spans = [*self._spans[:_SPANS], (seconds, seconds)]
            else:
                self._spans[-1] = (self._spans[-1][0], seconds)
        self._before = done

    def remark(self, what: str) -> list[str]:
        """In how many frames it was done, and when; nothing where in none."""
        if not self._count:
            return []
        spans = ", ".join(
            f"{start:.2f} s" if start == end else f"{start:.2f}-{end:.2f} s"
            for start, end in self._spans[:_SPANS]
        )
        more = f" and {self._more} more times" if self._more else ""
        frames = counted(self._count, "frame")
        return [f"in {frames} {what}: {spans}{more}"]


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
        self._seen: list[_Seen] = []
        self._covered: deque[_Covered] = deque()
        self._grid: Grid | None = None
        self._size: tuple[int, int] | None = None
        self._scenery: Scenery | None = None
        self._before: Scenery | None = None
        self._last = self._cut = -math.inf
        self._by_memory = _Frames()
        self._by_doubt = _Frames()

    @abstractmethod
    def block(self, canvas: Canvas, longest: float) -> int:
        """How coarse an object is shown, in pixels; 0 where nothing of it is.

        Args:
            canvas: the frame.
            longest: the longer side of the object's box in pixels.
        """

    @abstractmethod
    def plain(self, canvas: Canvas) -> Sequence[int] | None:
        """The code value of each plane that covers objects; None for the picture, coarsely."""

    @property
    def remarks(self) -> list[str]:
        """In which frames an object was covered that was not found there, or hardly."""
        return [
            *self._by_memory.remark("an object was covered where it was last found"),
            *self._by_doubt.remark("something was covered that the model was not sure of"),
        ]

    def plan(self, canvas: Canvas) -> None:
        """Looks at the picture before anything is painted."""
        self._scenery = scenery_of(canvas)

    def paint(self, canvas: Canvas) -> None:
        """Covers what was found and what is missing."""
        now = canvas.seconds
        scenery = scenery_of(canvas) if self._scenery is None else self._scenery
        self._resize(canvas.instances.picture_size)
        missing = self._update(canvas.instances, now, scenery)
        grid = grid_of(canvas.size, canvas.grid)
        if grid != self._grid:
            self._grid = grid
            self._covered.clear()
        there = _shaped(canvas, grid, [seen for seen in self._seen if seen.seconds == now])
        gone = _shaped(canvas, grid, missing)
        blocks = [self.block(canvas, one.longest) for one in there]
        # Objects that are shown equally coarse are covered together.
        alike: dict[int, list[Patch]] = {block: [] for block in blocks}
        for one, block in zip(there, blocks, strict=True):
            alike[block].append(one.patch)
        for earlier, like in self._lately(there, now):  # As coarse as what is there now.
            alike[blocks[like]].append(earlier)
        for last in gone:
            alike.setdefault(self.block(canvas, last.longest), []).append(last.patch)
        self._remember(there, now)
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
            self._seen = [
                one._replace(
                    box=in_another_size(one.box, before, size),
                    mask_box=in_another_size(one.mask_box, before, size),
                )
                for one in self._seen
            ]

    def _lately(self, found: Sequence[_Covered], now: float) -> Iterator[tuple[Patch, int]]:
        """What was covered a moment ago of those that have not moved since, and who that is now."""
        longest = min(_LATELY, self.style.cover_memory)
        while self._covered and not 0 < now - self._covered[0].seconds <= longest:
            self._covered.popleft()
        if not found or not self._covered:
            return
        boxes = np.array([one.box for one in found])
        overlaps = box_iou(np.array([one.box for one in self._covered]), boxes)
        likest = overlaps.argmax(axis=1)
        standing = overlaps.max(axis=1) >= _STANDS
        for one, stands, like in zip(
            self._covered, standing.tolist(), likest.tolist(), strict=True
        ):
            if stands:
                yield one.patch, like

    def _remember(self, found: Sequence[_Covered], now: float) -> None:
        """Keeps what was covered in the last frame, and some of those before."""
        times = sorted({one.seconds for one in self._covered})
        if len(times) > 1 and times[-1] - times[-2] < _APART:
            while self._covered and self._covered[-1].seconds == times[-1]:
                self._covered.pop()
        self._covered.extend(found)

    def _update(self, instances: Instances, now: float, scenery: Scenery) -> list[_Seen]:
        """Remembers what was found; returns what was found before and is missing.

        Where behind a cut another scene is seen there, it is not missing, but may be once that is
        over: what looks like a cut may be somebody close before the camera.
        """
        if now < self._last:  # Another source, or from the start again.
            self._seen = []
            self._covered.clear()
            self._cut = -math.inf
        elif self._before is not None and is_other_scene(self._before, scenery):
            self._cut = now
        self._last, self._before = now, scenery
        found = list(_seen(instances, now, scenery, sure=True))
        unsure = instances.unsure
        doubted = [] if unsure is None else list(_seen(unsure, now, scenery, sure=False))
        gone = [
            seen
            for seen in self._seen
            if seen.seconds < now
            and now - seen.seconds <= self.style.cover_memory * (1.0 if seen.sure else _UNSURE)
        ]
        known = {seen.identity for seen in self._seen} - {None}
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
        self._seen = found + doubted + missing
        size = instances.picture_size
        missing = [
            one
            for one in missing
            if one.seconds >= self._cut or not is_elsewhere(one.scenery, scenery, one.box, size)
        ]
        self._by_memory.add(now, done=any(seen.sure for seen in missing))
        self._by_doubt.add(
            now,
            done=any(not _within(one, found) for one in doubted)
            or any(not seen.sure for seen in missing),
        )
        return missing


def _seen(instances: Instances, now: float, scenery: Scenery, *, sure: bool) -> Iterator[_Seen]:
    if not len(instances):
        return
    count = len(instances)
    ids = [None] * count if instances.track_ids is None else instances.track_ids.tolist()
    boxes, places, masks = instances.boxes, instances.paste_boxes, raised(instances.masks)
    finite = np.isfinite(boxes).all(axis=1) & np.isfinite(places).all(axis=1)
    for index in np.flatnonzero(finite).tolist():
        yield _Seen(ids[index], boxes[index], masks[index], places[index], now, scenery, sure)


def _shaped(canvas: Canvas, grid: Grid, seen: Sequence[_Seen]) -> list[_Covered]:
    """What is covered of objects in a picture; of those that are missing more and more."""
    if not seen:
        return []
    size, now = canvas.size, canvas.seconds
    scales = [1 + _SWELLING * (now - one.seconds) for one in seen]
    boxes = np.array([one.box for one in seen], np.float64)
    longest = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) * scales
    # An object may be far larger than the picture, of which it says nothing.
    least, most = max(2.0, _AROUND * min(size)), 0.1 * max(size)
    found = patches(
        grid,
        [one.mask for one in seen],
        np.array([_scaled(one.mask_box, by) for one, by in zip(seen, scales, strict=True)]),
        _GROWN * canvas.threshold,
        np.maximum(least, np.minimum(_BEYOND * longest, most)),
    )
    return [
        _Covered(one.seconds, one.box, side, own)
        for one, side, own in zip(seen, longest.tolist(), found, strict=True)
        if own is not None
    ]


def _places(gone: Sequence[_Seen], found: Sequence[_Seen]) -> list[int | None]:
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


def _within(one: _Seen, found: list[_Seen]) -> bool:
    """Whether it lies in what was found."""
    if not found:
        return False
    boxes = np.stack([other.box for other in found])
    low, high = np.maximum(boxes[:, :2], one.box[:2]), np.minimum(boxes[:, 2:], one.box[2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    area = float(np.prod(one.box[2:] - one.box[:2]))
    return bool(shared.max() >= _WITHIN * area)


def _scaled(box: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """A box grown around its middle."""
    if scale == 1:
        return box
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * np.float32(scale)
    return np.concatenate([middle - half, middle + half]).astype(np.float32)
