"""Edges of masks drawn to the picture's own, by what looks alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.mattes import on_grid
from stream.compositing.planes import Planes, Samples, part, shrink_to
from stream.compositing.soft import Soft, codes
from stream.kernels import Kernels, compiled
from stream.kernels.memory import BLOCK
from stream.roi import Window
from stream.types import Array

AREA = 48 * 1024
"""Pixels that an object is looked at in; a larger one is made smaller for it."""
_FRAME = 4 * AREA
"""The same for all objects of a frame together, so that a crowd does not cost more than that."""
MARGIN = 3 / 56, 4.0
"""How far around a mask's box edges are looked for: a share of its side, and pixels."""
STEP = 8
"""The sides of regions are multiples of this."""
FINER = 1.25
"""What is looked at must be finer than the mask by this factor to tell more: masks that are as
fine as the picture, such as those drawn by hand, stay as they are."""
_DENSE = 0.4
"""The scale from which on a region is sampled bilinearly, not averaged."""
ROUGH, FINE = 6, 4
"""How far around a pixel the mask is averaged, first at half the size; even, as every other pixel
is taken."""
_AS_HIGH = 0.75
"""What is at least so high as what it stands beside wastes little."""
_AT_ONCE = 64 * 1024
"""Pixels: sums of more do not stay in the processor's cache from one neighbour to the next."""
_ALIKE = 14.0
"""Standard deviation of the weights by the difference of colour, in codes of Y, U and V together;
by distance it is 0.9 of the radius."""
_NEUTRAL = 128
_LEVELS = 64
"""Codes of difference from which on no weight is left."""


class Region:
    """What is looked at for one object.

    Attributes:
        window: the part of the picture.
        height: of what is looked at.
        width: of what is looked at.
        scale: its pixels per pixel of the picture, at most about 1.
    """

    def __init__(self, window: Window, height: int, width: int) -> None:
        top, bottom, left, right = window
        self.window = window
        self.height, self.width = height, width
        self.scale = math.sqrt(height * width / ((bottom - top) * (right - left)))

    @classmethod
    def scaled(cls, window: Window, scale: float) -> Region:
        """A part of the picture, made smaller by about a factor."""
        top, bottom, left, right = window
        height, width = (
            max(STEP, round(side * scale / STEP) * STEP) for side in (bottom - top, right - left)
        )
        return cls(window, height, width)

    def inside(self, box: NDArray[np.float32]) -> NDArray[np.float32]:
        """A box of the picture in its pixels."""
        top, bottom, left, right = self.window
        x, y = self.width / (right - left), self.height / (bottom - top)
        moved = box - np.array([left, top, left, top], np.float32)
        return np.asarray(moved * np.array([x, y, x, y], np.float32), np.float32)


def regions(
    boxes: NDArray[np.float32],
    cells: tuple[int, int],
    size: tuple[int, int],
    grid: tuple[int, int] = (1, 1),
) -> list[Region | None]:
    """What is looked at for each object of a frame.

    Args:
        boxes: float32 [N, 4], where masks lie; anything, also NaN.
        cells: rows and columns of the masks.
        size: the picture's height and width in pixels.
        grid: rows and columns of luma that share one chroma sample.

    Returns:
        For each object its region; None where it is outside the picture or so small, or one of so
        many, that nothing would be gained.
    """
    windows = [around(box, size, grid) for box in boxes]
    areas = [
        0 if one is None else min(AREA, (one[1] - one[0]) * (one[3] - one[2])) for one in windows
    ]
    share = min(1.0, _FRAME / max(1, sum(areas)))
    found: list[Region | None] = []
    for box, window, area in zip(boxes, windows, areas, strict=True):
        if window is None:
            found.append(None)
            continue
        pixels = (window[1] - window[0]) * (window[3] - window[2])
        scale = min(1.0, math.sqrt(share * area / pixels))
        fine = cell_of(box, cells) * scale >= FINER
        found.append(Region.scaled(window, scale) if fine else None)
    return found


def cell_of(box: NDArray[np.float32], cells: tuple[int, int]) -> float:
    """The side of a mask's cell in pixels of the picture.

    Args:
        box: float32 [4], where the mask lies; not empty.
        cells: the mask's rows and columns.
    """
    x1, y1, x2, y2 = box.tolist()
    return math.sqrt((x2 - x1) * (y2 - y1) / (cells[0] * cells[1]))


def around(
    box: NDArray[np.float32],
    size: tuple[int, int],
    grid: tuple[int, int],
    margin: tuple[float, float] = MARGIN,
) -> Window | None:
    """The part of a picture that a box and what is around it take; None where it is outside.

    Args:
        box: float32 [4]; anything, also NaN.
        size: the picture's height and width in pixels.
        grid: rows and columns on which the part begins, and ends unless the picture ends.
        margin: what is around, as a share of the box's side and as pixels.
    """
    x1, y1, x2, y2 = box.tolist()
    if not (x2 > x1 and y2 > y1 and math.isfinite(x2 - x1) and math.isfinite(y2 - y1)):
        return None
    share, pixels = margin
    beside, above = (x2 - x1) * share + pixels, (y2 - y1) * share + pixels
    top, bottom = max(0, math.floor(y1 - above)), min(size[0], math.ceil(y2 + above))
    left, right = max(0, math.floor(x1 - beside)), min(size[1], math.ceil(x2 + beside))
    if top >= bottom or left >= right:
        return None
    return on_grid((top, bottom, left, right), size, grid)


def look(
    planes: Planes,
    region: Region,
    mask: NDArray[np.float32],
    box: NDArray[np.float32],
) -> NDArray[np.uint8]:
    """Y, U and V of a region and the mask there, uint8 [4, height, width].

    Args:
        planes: the picture.
        region: of it; on the grid of the chroma planes.
        mask: float32 [M, M], 0..1, more than 0.5 where the object is.
        box: float32 [4], where the mask lies in the picture.
    """
    seen = np.empty((4, region.height, region.width), np.uint8)
    for index in range(3):
        if index < len(planes.samples):
            samples = part(planes.samples[index], planes.steps[index], region.window)
            _shrink(samples, planes.encoding.depth, seen[index])
        else:
            seen[index] = _NEUTRAL
    seen[3] = codes(mask, region.inside(box), (0, region.height, 0, region.width))
    return seen


def shown(small: NDArray[np.uint8], region: Region, cell: float) -> Soft:
    """A region's mask at the picture's pixels.

    Args:
        small: uint8 of the region's size.
        region: of the picture.
        cell: pixels of the picture by which the mask that was looked at may be off.
    """
    top, bottom, left, right = region.window
    values = cv2.resize(small, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
    return Soft(region.window, np.asarray(values, np.uint8), max(1.0, 1 / region.scale), cell)


def _shrink(samples: Samples, depth: int, out: NDArray[np.uint8]) -> None:
    height, width = out.shape
    if 2 * height <= samples.shape[0] and 2 * width <= samples.shape[1]:
        half = samples.shape[1] // 2, samples.shape[0] // 2
        samples = shrink_to(samples[: 2 * half[1], : 2 * half[0]], half)
    # Down to this, two samples each way leave hardly any out, and are several times as fast.
    small = height * width < _DENSE**2 * samples.shape[0] * samples.shape[1]
    how = cv2.INTER_AREA if small else cv2.INTER_LINEAR
    if samples.strides[0] < 0:  # A picture that lies upside down in memory.
        samples = samples.copy()
    resized: Array = cv2.resize(samples, (width, height), interpolation=how)
    out[...] = resized if depth == 8 else resized >> (depth - 8)


def roughly(several: Sequence[NDArray[np.uint8]]) -> None:
    """Looks for the masks' edges far away, at half the size.

    Args:
        several: uint8 [4, H, W] each, Y, U, V and the mask; H and W even. Masks are written to.
    """
    halves = []
    for seen in several:
        height, width = seen.shape[1:]
        smaller = (width // 2, height // 2)
        half = [cv2.resize(one, smaller, interpolation=cv2.INTER_AREA) for one in seen]
        halves.append(np.asarray(half, np.uint8))
    for seen, rough in zip(several, bilateral(halves, ROUGH), strict=True):
        size = (seen.shape[2], seen.shape[1])
        cv2.resize(rough, size, dst=seen[3], interpolation=cv2.INTER_LINEAR)


def bilateral(several: Sequence[NDArray[np.uint8]], radius: int) -> list[NDArray[np.uint8]]:
    """Masks averaged over what looks alike nearby, so that they end where the picture's edges are.

    A joint bilateral filter (Petschnigg et al., SIGGRAPH 2004) over every other pixel of a disc.

    Args:
        several: uint8 [4, H, W] each, Y, U, V and the mask.
        radius: of the disc in pixels, even.

    Returns:
        uint8 [H, W] of each.
    """
    kernels = compiled()
    found: list[NDArray[np.uint8]] = [*several]
    rest = list(range(len(several)))
    if kernels is not None:
        for index in rest:
            if several[index].shape[2] >= BLOCK:
                found[index] = _averaged_at_once(kernels, several[index], radius)
        rest = [index for index in rest if several[index].shape[2] < BLOCK]
    for place in _shelves([(several[one].shape[1], several[one].shape[2]) for one in rest]):
        shelf = [rest[one] for one in place]
        # Side by side they take one pass, each with its last pixels repeated around it.
        high = max(several[one].shape[1] for one in shelf) + 2 * radius
        wide = sum(several[one].shape[2] + 2 * radius for one in shelf)
        padded = np.empty((4, high, wide), np.uint8)
        edge, left = (radius,) * 4, 0
        for one in shelf:
            below, beside = (side + 2 * radius for side in several[one].shape[1:])
            for plane, own in zip(padded, several[one], strict=True):
                there = plane[:below, left : left + beside]
                cv2.copyMakeBorder(own, *edge, cv2.BORDER_REPLICATE, dst=there)
                plane[below:, left : left + beside] = 0
            left += beside
        averaged, left = _averaged(padded, radius), 0
        for one in shelf:
            height, width = several[one].shape[1:]
            found[one] = averaged[:height, left : left + width]
            left += width + 2 * radius
    return found


def _averaged_at_once(kernels: Kernels, seen: NDArray[np.uint8], radius: int) -> NDArray[np.uint8]:
    """The filter by the compiled loops."""
    own, places, tables = _around(radius)
    height, width = seen.shape[1:]
    padded = np.empty((4, height + 2 * radius, width + 2 * radius), np.uint8)
    for plane, one in zip(padded, seen, strict=True):
        cv2.copyMakeBorder(one, *(radius,) * 4, cv2.BORDER_REPLICATE, dst=plane)
    return kernels.bilateral(padded, radius, own, places, tables)


@cache
def _around(radius: int) -> tuple[int, NDArray[np.int32], NDArray[np.uint8]]:
    """A pixel's own weight, and all neighbours, int32 [N, 2], with their weights, [N, 64]."""
    own, neighbours = _neighbours(radius)
    both = [(sign, *one) for one in neighbours for sign in (1, -1)]
    places = np.array([(sign * down, sign * across) for sign, down, across, _ in both], np.int32)
    return own, places, np.array([table[:_LEVELS] for *_, table in both], np.uint8)


def _shelves(sizes: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Which of several (heights, widths) go side by side.

    Those that are nearly as high as the highest, and no more than stay in the processor's cache.
    """
    shelves: list[list[int]] = []
    high, wide = 0, 0
    for index in sorted(range(len(sizes)), key=lambda one: -sizes[one][0]):
        height, width = sizes[index]
        if height < _AS_HIGH * high or high * (wide + width) > _AT_ONCE or not shelves:
            shelves.append([])
            high, wide = height, 0
        shelves[-1].append(index)
        wide += width
    return shelves


def _averaged(padded: NDArray[np.uint8], radius: int) -> NDArray[np.uint8]:
    """The filter, but for as many rows and columns at the rims as the disc's radius."""
    *colours, mask = padded
    height, width = mask.shape[0] - 2 * radius, mask.shape[1] - 2 * radius
    own, neighbours = _neighbours(radius)
    # Sums of whole numbers below 2^24: float32 holds them exactly, in whatever order.
    middle = mask[radius : radius + height, radius : radius + width]
    total: Array = np.multiply(middle, np.float32(own), dtype=np.float32)
    weights = np.full((height, width), own, np.float32)
    room = (height + radius, width + radius)
    differs, other_differs, weight = (np.empty(room[0] * room[1], np.uint8) for _ in range(3))
    for down, across, table in neighbours:
        # Two pixels are as alike seen from the one as from the other: found once for both.
        shape = (height + down, width + abs(across))
        sums, others, alike = (
            one[: shape[0] * shape[1]].reshape(shape) for one in (differs, other_differs, weight)
        )
        top, left = radius - down, radius - max(0, across)
        here = np.s_[top : top + shape[0], left : left + shape[1]]
        there = np.s_[radius : radius + shape[0], left + across : left + across + shape[1]]
        first, *rest = colours
        cv2.absdiff(first[here], first[there], dst=sums)
        for one in rest:
            cv2.absdiff(one[here], one[there], dst=others)
            cv2.add(sums, others, dst=sums)
        cv2.LUT(sums, table, dst=alike)
        for down_to, across_to, row, column in (
            (down, across, down, max(0, across)),
            (-down, -across, 0, max(0, -across)),
        ):
            shares = alike[row : row + height, column : column + width]
            y, x = radius + down_to, radius + across_to
            cv2.accumulateProduct(shares, mask[y : y + height, x : x + width], total)
            cv2.accumulate(shares, weights)
    # The pixel itself always counts.
    return np.asarray(cv2.divide(total, weights, dtype=cv2.CV_8U), np.uint8)


@cache
def _neighbours(radius: int) -> tuple[int, list[tuple[int, int, NDArray[np.uint8]]]]:
    """A pixel's own weight, and one of each two opposite neighbours, below or to the right.

    Returns:
        Rows and columns to each neighbour, and its weight by the difference of colours, [256].
    """
    alike = 255 * np.exp(-((np.arange(256) / _ALIKE) ** 2) / 2)
    near, steps = 2 * (0.9 * radius) ** 2, range(-radius, radius + 1, 2)
    return 255, [
        (down, across, np.rint(alike * math.exp(-far / near)).astype(np.uint8))
        for down in steps
        for across in steps
        if (far := down * down + across * across) <= radius**2 and (down, across) > (0, 0)
    ]
