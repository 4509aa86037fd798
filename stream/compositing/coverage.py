"""Where a picture is covered: a small plane that errs on the side of covering."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.bits import packed, unpacked, words_of
from stream.compositing.mattes import apart, around, wider
from stream.compositing.slits import CLOSED, square, without_slits
from stream.kernels import compiled
from stream.kernels.memory import address_of
from stream.roi import Window
from stream.types import Array

_FINE = 180
"""A picture's shorter side has about so many cells: covers are smooth, and end softly over one."""
_ONWARD = 0.05
"""How far a mask that is sure up to the edge of its box goes on beyond, of the box's sides: the
model cannot put anything outside a box that it has drawn too small."""


_THIRD = 85
"""What stands for a covered cell while they are counted."""
_LESS = 0.484
"""Between two codes, from where on an interpolated one counts as the higher one."""
_FADES = 2 + CLOSED
"""Cells beside a covered one in which pixels may not stay wholly; at the picture's edges so many,
as what is narrow between them and a cover is closed too."""


class Grid(NamedTuple):
    """Cells that a picture is covered in.

    Attributes:
        size: the picture's height and width in pixels.
        side: of a cell in pixels; a multiple of the chroma planes' steps.
    """

    size: tuple[int, int]
    side: int

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns that hold the picture."""
        return -(-self.size[0] // self.side), -(-self.size[1] // self.side)


class Mask(NamedTuple):
    """An object's mask in whole numbers.

    Attributes:
        codes: uint8 [M, M], contiguous.
        memory: where they lie, rows and columns.
    """

    codes: NDArray[np.uint8]
    memory: tuple[int, int, int]


class Patches(NamedTuple):
    """What is covered of objects of one picture, and around them.

    Attributes:
        items: int64 [N, 8] of each: rows y1 to y2 and columns x1 to x2 of cells where the object
            lies; where the word of the first of these is in memory, and how many bytes one row of
            words lies after the other; how far what is covered reaches beyond each, in cells; and
            where the numbers of `halves_of` for that are.
        cells: uint64, of one object after the other, a bit for each, 1 where it is: a row of the
            grid begins with the lowest bit of a word.
        which: int64 [N], of all that were asked for.
        kept: whose addresses items hold.
    """

    items: NDArray[np.int64]
    cells: NDArray[np.uint64]
    which: NDArray[np.int64]
    kept: Sequence[NDArray[np.int64]]

    def some(self, rows: Sequence[int]) -> Patches:
        """Those at some places of all."""
        if len(rows) == len(self.which):
            return self
        return self._replace(items=self.items[rows], which=self.which[rows])

    def objects(self) -> Iterator[tuple[Window, NDArray[np.uint8], int]]:
        """Of each its window in cells, `_THIRD` where it is, and how far its cover reaches."""
        for place, (top, bottom, left, right, _, _, radius, _) in enumerate(self.items.tolist()):
            inside = _THIRD * unpacked(self.words(place), left, right - left)
            yield (top, bottom, left, right), inside, radius

    def take_out(self, place: int, cells: NDArray[np.bool_]) -> None:
        """Leaves cells of an object bare, of its window as `objects` has it; in place."""
        words = self.words(place)
        words &= ~packed(cells.view(np.uint8), int(self.items[place, 2]))

    def words(self, place: int) -> NDArray[np.uint64]:
        """Of an object's window the words as they lie in memory, uint64 [R, W]."""
        top, bottom, left, right, address, stride, *_ = self.items[place].tolist()
        size, start = (bottom - top, words_of(left, right)), address - address_of(self.cells)
        return np.ndarray(size, np.uint64, self.cells, start, (stride, 8))


NO_PATCHES = Patches(np.empty((0, 8), np.int64), np.empty(0, np.uint64), np.empty(0, np.int64), ())


@lru_cache(maxsize=64)
def grid_of(size: tuple[int, int], steps: tuple[int, int]) -> Grid:
    """The cells for a picture of a (height, width) and its chroma planes' steps."""
    unit = math.lcm(*steps)
    return Grid(size, unit * max(1, round(min(size) / _FINE / unit)))


def lying(codes: NDArray[np.uint8]) -> list[Mask]:
    """Masks in whole numbers, each with where it lies; uint8 [N, M, M], contiguous."""
    start, (rows, columns) = address_of(codes), codes.shape[1:]
    return [
        Mask(one, (start + place * rows * columns, rows, columns))
        for place, one in enumerate(codes)
    ]


def raised(masks: NDArray[np.float32]) -> list[Mask]:
    """Masks of 0..1 in whole numbers of 0..255, rounded upwards; float32 [N, M, M], N not 0."""
    kernels = compiled()
    if kernels is not None:
        return lying(kernels.raised(masks))
    flat = masks.reshape(-1, masks.shape[2])
    codes: Array = cv2.convertScaleAbs(flat, alpha=255, beta=0.499)
    return lying(np.asarray(codes.reshape(masks.shape), np.uint8))


def patches(
    grid: Grid,
    soft: NDArray[np.float32],
    masks: Sequence[Mask],
    boxes: NDArray[np.float32],
    threshold: float,
    reaches: NDArray[np.float64],
) -> Patches:
    """Covers objects and what is around them.

    Args:
        grid: of the picture.
        soft: float32 [K, M, M], 0..1, masks of the first K of N.
        masks: of each of the others.
        boxes: float32 [N, 4], where they lie, in pixels of the picture; finite.
        threshold: where a mask is above this, 0..1, it is covered.
        reaches: float64 [N], how far beyond, in pixels.

    Returns:
        Those of which something in the picture is covered.
    """
    least = max(0, math.floor(255 * threshold) - 1) + _LESS
    kernels = compiled()
    if kernels is None:
        every = [*raised(soft), *masks] if len(soft) else masks
        return _spread(every, _placed(grid, every, boxes, reaches), least)
    lie = [number for mask in masks for number in mask.memory]
    cells, items, which, halves = kernels.patches(
        boxes,
        reaches,
        soft,
        lie,
        grid.side,
        grid.cells,
        halves_of,
        onward=_ONWARD,
        least=least,
    )
    return Patches(items, cells, which, halves)


class _Place(NamedTuple):
    """Where in a grid an object may lie, and how its mask is brought there.

    Attributes:
        window: in cells.
        onward: how far the mask goes on beyond its edges, in cells of it.
        grown: over how many rows and columns of it.
        steps: columns and rows of the mask that a cell of the grid takes.
        starts: where among them the window's first cell's middle lies.
        radius: how far its cover reaches beyond, in cells of the grid.
        which: of all objects.
    """

    window: Window
    onward: int
    grown: tuple[int, int]
    steps: tuple[float, float]
    starts: tuple[float, float]
    radius: int
    which: int


def _placed(
    grid: Grid,
    masks: Sequence[Mask],
    boxes: NDArray[np.float32],
    reaches: NDArray[np.float64],
) -> Iterator[_Place]:
    """What the compiled loop `place` finds, to the last bit."""
    side, (height, width) = grid.side, grid.cells
    for index, ((x1, y1, x2, y2), reach) in enumerate(
        zip(boxes.tolist(), reaches.tolist(), strict=True)
    ):
        if not (x2 > x1 and y2 > y1):
            continue
        _, rows, columns = masks[index].memory
        most = max(rows, columns)
        onward, radius = max(1, math.ceil(_ONWARD * most)), max(1, math.ceil(reach / side))
        # Of the grid's cells a mask's cell takes so much.
        across, down = (x2 - x1) / side / columns, (y2 - y1) / side / rows
        left, right = x1 / side - onward * across, x2 / side + onward * across
        top, bottom = y1 / side - onward * down, y2 / side + onward * down
        # It falls to nothing half a mask's cell beyond.
        first, last = max(0, math.floor(top - down / 2)), min(height, math.ceil(bottom + down / 2))
        before = max(0, math.floor(left - across / 2))
        after = min(width, math.ceil(right + across / 2))
        if first >= last or before >= after:
            continue
        # Where the grid is coarser than the mask, the most of it counts.
        tall, broad = (min(math.ceil(1 / max(one, 0.01)), most) for one in (down, across))
        # From the middles of the grid's cells to the mask's.
        starts = (before + 0.5 - left) / across - 0.5, (first + 0.5 - top) / down - 0.5
        window = (first, last, before, after)
        yield _Place(window, onward, (tall, broad), (1 / across, 1 / down), starts, radius, index)


def _spread(masks: Sequence[Mask], places: Iterable[_Place], least: float) -> Patches:
    """What the compiled loop `spread` gives, to the last bit: floats are rounded as there."""
    cells, items, which, size = [np.empty(0, np.uint64)], [], [], 0
    for place in places:
        (first, last, before, after), onward = place.window, place.onward
        edges = (onward,) * 4
        wide: Array = cv2.copyMakeBorder(masks[place.which].codes, *edges, cv2.BORDER_REPLICATE)
        wide = cv2.dilate(wide, square(*place.grown))
        bare: Array = cv2.copyMakeBorder(wide, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0)
        (lefts, behind), (tops, below) = (
            _places(step, start, count, size)
            for step, start, count, size in zip(
                place.steps,
                place.starts,
                (after - before, last - first),
                wide.shape[::-1],
                strict=True,
            )
        )
        wider = _between(bare.astype(np.float32), lefts, behind, 1)
        soft = _between(wider, tops, below[:, None], 0)
        inside = (soft > np.float32(least)).astype(np.uint8)
        left, top, broad, tall = cv2.boundingRect(inside)
        if tall:
            y, x, words = first + top, before + left, words_of(before, after)
            at = 8 * (size + top * words + words_of(before, x + 1) - 1)
            items.append((y, y + tall, x, x + broad, at, 8 * words, place.radius, 0))
            which.append(place.which)
            cells.append(packed(inside, before).ravel())
            size += cells[-1].size
    flat, made = np.concatenate(cells), np.array(items, np.int64).reshape(-1, 8)
    halves = [halves_of(radius) for radius in made[:, 6].tolist()]
    made[:, 4] += address_of(flat)
    made[:, 7] = [address for address, _ in halves]
    return Patches(made, flat, np.array(which, np.int64), [one for _, one in halves])


def _between(
    samples: NDArray[np.float32],
    places: NDArray[np.int64],
    shares: NDArray[np.float32],
    axis: int,
) -> NDArray[np.float32]:
    one, other = samples.take(places, axis), samples.take(places + 1, axis)
    other -= one
    other *= shares
    other += one
    return other


def _places(
    step: float, start: float, count: int, size: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Where cells' middles lie in a mask's samples, two of which are around it; and how far on."""
    place = step * np.arange(count) + start
    whole = np.floor(place)
    return np.clip(whole + 2, 0, size + 2).astype(np.int64), (place - whole).astype(np.float32)


def joined(grid: Grid, patches: Sequence[Patches]) -> NDArray[np.uint8]:
    """What patches leave bare together.

    Args:
        grid: of all of them.
        patches: of at least one object.

    Returns:
        How far each cell is bare, uint8 of the grid's cells: 0 where it is covered and straight
        beside that, so that covered cells stay so to their edges when pixels are interpolated.
        A slit of at most four cells between covered ones is covered as well.
    """
    kernels = compiled()
    if kernels is not None:
        items = np.concatenate([one.items for one in patches])
        return kernels.join(grid.cells, items)
    plane = np.zeros(grid.cells, np.uint8)
    for number, radius in enumerate({radius for one in patches for _, _, radius in one.objects()}):
        # What is around several is found at once.
        windows = []
        inside = np.zeros(grid.cells, np.uint8) if number else plane
        for window, own, reach in (found for one in patches for found in one.objects()):
            if reach == radius:
                top, bottom, left, right = window
                there = inside[top:bottom, left:right]
                cv2.max(there, own, dst=there)
                windows.append(wider(window, grid.cells, radius))
        top, bottom, left, right = around(*windows)
        there = plane[top:bottom, left:right]
        grown = cv2.dilate(inside[top:bottom, left:right], _disc(radius))
        cv2.max(there, grown, dst=there)
    top, bottom, left, right = around(*_faded(grid, patches))
    near = np.s_[top:bottom, left:right]
    plane = without_slits(plane)
    # A cell counts for each of nine; three, as on a straight edge, are enough.
    counts = cv2.boxFilter(
        plane[near], -1, (3, 3), normalize=False, borderType=cv2.BORDER_REPLICATE
    )
    bare = np.full(grid.cells, 255, np.uint8)
    cv2.bitwise_not(counts, dst=bare[near])
    return bare


def windows_of(grid: Grid, patches: Sequence[Patches]) -> list[Window]:
    """Windows of cells that do not touch each other, outside which `joined` leaves all bare."""
    return apart(_faded(grid, patches))


def _faded(grid: Grid, patches: Sequence[Patches]) -> Iterator[Window]:
    """Of each object the cells that its cover reaches, and where it fades."""
    for one in patches:
        for top, bottom, left, right, *_, radius, _ in one.items.tolist():
            yield wider((top, bottom, left, right), grid.cells, radius + _FADES)


def pixels(grid: Grid, window: Window) -> Window:
    """The part of the picture under a window of cells."""
    return (
        window[0] * grid.side,
        min(grid.size[0], window[1] * grid.side),
        window[2] * grid.side,
        min(grid.size[1], window[3] * grid.side),
    )


def kept(bare: NDArray[np.uint8], grid: Grid, window: Window) -> NDArray[np.uint8]:
    """How far pixels stay as they are: not at all in covered cells, more and more beside them.

    Args:
        bare: uint8 of the grid's cells, from `joined`.
        grid: the cells.
        window: in cells.

    Returns:
        uint8 of the window's pixels, as far as the picture has any.
    """
    top, bottom, left, right = window
    # With the cells beside the window, towards which the outermost are interpolated.
    first, before = max(0, top - 1), max(0, left - 1)
    part, side = bare[first : bottom + 1, before : right + 1], grid.side
    size = (part.shape[1] * side, part.shape[0] * side)
    large: Array = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)
    shown = pixels(grid, window)
    y, x = (top - first) * side, (left - before) * side
    return np.asarray(
        large[y : y + shown[1] - shown[0], x : x + shown[3] - shown[2]],
        np.uint8,
    )


@lru_cache(maxsize=64)
def _disc(radius: int) -> NDArray[np.uint8]:
    side = 2 * radius + 1
    disc: Array = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(disc, np.uint8)


@lru_cache(maxsize=64)
def halves_of(radius: int) -> tuple[int, NDArray[np.int64]]:
    """How far such a disc reaches to each side of its middle, row by row, and where that lies."""
    halves = np.asarray(np.count_nonzero(_disc(radius), axis=1) // 2, np.int64)
    return address_of(halves), halves
