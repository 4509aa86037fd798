"""Specks and holes of masks that are too small to have a contour of their own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.coverage import Patches
from stream.kernels import compiled
from stream.roi import Window
from stream.types import Array

PART = 1 / 1000
"""Of the object's pixels: what is smaller is left out."""
_LOOSE = 1 / 500
"""Of what is covered of an object: what is smaller and lies apart is not covered for longer."""


class Piece(NamedTuple):
    """Cells of a mask that hang together.

    Attributes:
        value: 1 of a piece, 0 of a hole.
        row: the first of its cells, -1 for what is around a mask.
        column: likewise.
        height: in cells.
        width: in cells.
    """

    value: int
    row: int
    column: int
    height: int
    width: int


def small_pieces(masks: NDArray[np.float32], threshold: float) -> list[list[Piece]]:
    """What may be a speck or a hole of each of these masks, by its cells.

    Pixels are interpolated between cells, so each piece and each hole among the pixels holds at
    least one cell of its own, and cells beside each other are of one piece: where the cells are in
    one piece without holes, the pixels are.

    Args:
        masks: float32 [N, M, M], 0..1.
        threshold: a cell above this is the object's.
    """
    kernels = compiled()
    found: list[list[Piece]] = [[] for _ in masks]
    if kernels is not None:
        for place, *piece in kernels.pieces(masks, threshold, PART).tolist():
            found[place].append(Piece(*piece))
    elif _any_specks(masks, threshold):
        return [list(_small_pieces(mask, threshold)) for mask in masks]
    return found


def _any_specks(masks: NDArray[np.float32], threshold: float) -> bool:
    """Whether any of these masks is in several pieces or has holes.

    All are looked at in one image, which takes a few microseconds each.
    """
    count, rows, columns = masks.shape
    height = rows + 2
    image = np.zeros((count * height, columns + 2), np.uint8)
    cells = image.view(np.bool_).reshape(count, height, columns + 2)
    np.greater(masks, threshold, out=cells[:, 1:-1, 1:-1])
    # Following outlines takes a fifth of the time that labelling components does.
    outlines, tree = cv2.findContours(image, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if any(around >= 0 for *_, around in ([] if tree is None else tree[0].tolist())):
        return True
    # Without holes there are as many pieces as cells, less pairs beside each other, and squares of
    # four (Euler's number of a picture).
    beside = cv2.bitwise_and(image[:, 1:], image[:, :-1])
    below = cv2.bitwise_and(image[1:], image[:-1])
    squares = cv2.bitwise_and(beside[1:], beside[:-1])
    ones, across, down, fours = map(cv2.countNonZero, (image, beside, below, squares))
    shown = {int(outline[0, 0, 1]) // height for outline in outlines}
    return ones - across - down + fours > len(shown)


def _small_pieces(mask: NDArray[np.float32], threshold: float) -> Iterator[Piece]:
    cells = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), np.uint8)
    np.greater(mask, threshold, out=cells[1:-1, 1:-1].view(np.bool_))
    # Nothing that takes more cells than this can be as small as a part of the object.
    most = 4 + 4 * PART * int(cells.sum())
    for value in (1, 0):
        image = cells if value else 1 - cells
        count, _, stats, _ = cv2.connectedComponentsWithStats(image, connectivity=4)
        if count <= 2:
            continue
        for column, row, width, height, area in stats[1:].tolist():
            if area <= most:
                yield Piece(value, row - 1, column - 1, height, width)


def without_specks(
    inside: NDArray[np.uint8],
    window: Window,
    pieces: Sequence[Piece],
    cells: tuple[int, int],
    box: NDArray[np.float32],
) -> NDArray[np.uint8]:
    """The object without what is smaller than a thousandth of it: specks gone, holes filled.

    Args:
        inside: uint8 1 or 0 of the window's size.
        window: of the picture.
        pieces: of its mask, as `small_pieces` finds them.
        cells: rows and columns of its mask.
        box: float32 [4], where the mask lies, in pixels of the picture; not empty, finite.

    Returns:
        `inside` itself where there is nothing of that kind, else another array like it.
    """
    tidy = inside
    most = PART * int(np.count_nonzero(inside)) if pieces else 0.0
    for value, *place in pieces:
        part = _pixels(window, box, cells, place)
        if part is None:
            continue
        # Specks hang together over corners, so holes do not.
        small = _small_parts(inside[part], value, 8 if value else 4, most)
        if small.any():
            tidy = inside.copy() if tidy is inside else tidy
            tidy[part][small] = 1 - value
    return tidy


def drop_loose(patches: Patches) -> None:
    """Takes out, in place, what lies apart from an object and is less than a part of it.

    A model that is in doubt sees specks beside somebody for a frame, each of which is covered with
    as much around it as he is.

    Args:
        patches: of objects of one picture, whose cells are nobody else's.
    """
    for place, (_, inside, _) in enumerate(patches.objects()):
        count, labels = cv2.connectedComponents(inside, connectivity=8)
        if count > 2:  # Only then they are measured, which takes longer.
            areas = np.bincount(labels.ravel())
            loose = areas < _LOOSE * areas[1:].sum()
            loose[0] = False
            patches.take_out(place, loose[labels])


def _pixels(
    window: Window,
    box: NDArray[np.float32],
    cells: tuple[int, int],
    piece: Sequence[int],
) -> tuple[slice, slice] | None:
    """The rows and columns of a window that cells reach to: up to the centres of those around."""
    x1, y1, x2, y2 = box.tolist()
    row, column, height, width = piece
    found = []
    for low, high, many, first, count, start, stop in (
        (y1, y2, cells[0], row, height, window[0], window[1]),
        (x1, x2, cells[1], column, width, window[2], window[3]),
    ):
        step = (high - low) / many
        before = max(start, math.floor(low + (first - 0.5) * step))
        after = min(stop, math.ceil(low + (first + count + 0.5) * step) + 1)
        if before >= after:
            return None
        found.append(slice(before - start, after - start))
    return found[0], found[1]


def _small_parts(
    inside: NDArray[np.uint8], value: int, connectivity: int, most: float
) -> NDArray[np.bool_]:
    """Where pieces of a value lie that are smaller than `most` pixels and do not reach the rim."""
    image: Array = inside if value else 1 - inside
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(image), connectivity=connectivity
    )
    height, width = inside.shape
    left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
    whole = (left > 0) & (top > 0)
    whole &= left + stats[:, cv2.CC_STAT_WIDTH] < width
    whole &= top + stats[:, cv2.CC_STAT_HEIGHT] < height
    small = whole & (stats[:, cv2.CC_STAT_AREA] < most)
    small[0] = False
    return np.asarray(small[labels] if count > 1 else np.zeros(inside.shape, np.bool_))
