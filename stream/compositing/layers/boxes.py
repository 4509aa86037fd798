"""The box of each object."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.compositing.canvas import Canvas
from stream.compositing.layer import Layer
from stream.compositing.layers.contour import line_width
from stream.compositing.planes import blend, part
from stream.pictures.pixels import reduce_to
from stream.roi import Window

_OPACITY = 0.95


class Boxes(Layer):
    """A rectangle around each object, as the model said it, in the object's colour."""

    stands_before: ClassVar[bool] = True
    only_adds: ClassVar[bool] = True
    pastes: ClassVar[int] = 0
    coloured = True

    def paint(self, canvas: Canvas) -> None:
        """Draws lines inside the boxes' edges, those of what is in front last."""
        width = line_width(canvas.size, self.style.contour_width)
        if not width:
            return
        for index in canvas.stack.order:
            box = canvas.instances.boxes[index].tolist()
            if not all(math.isfinite(edge) for edge in box) or box[2] <= box[0] or box[3] <= box[1]:
                continue
            rows = _line(box[1], box[3], canvas.size[0], width)
            columns = _line(box[0], box[2], canvas.size[1], width)
            if not (rows[0].any() and columns[0].any()):
                continue
            for window in _sides(rows[1], columns[1], canvas.size, canvas.grid):
                _draw(canvas, window, rows, columns, index)


_Line = tuple[NDArray[np.float32], NDArray[np.float32]]


def _line(low: float, high: float, length: int, width: float) -> _Line:
    """How far each row (or column) lies in the box, and in the box without its line, 0..1."""
    pixels = np.arange(length)

    def covered(first: float, last: float) -> NDArray[np.float32]:
        inside = np.minimum(pixels + 1, last) - np.maximum(pixels, first)
        return np.asarray(np.clip(inside, 0, 1), np.float32)

    return covered(low, high), covered(low + width, high - width)


def _sides(
    rows: NDArray[np.float32],
    columns: NDArray[np.float32],
    size: tuple[int, int],
    grid: tuple[int, int],
) -> Iterator[Window]:
    """The picture above, below, left and right of what lies wholly within the line, on the grid.

    Where nothing does, the whole picture.
    """
    height, width = size
    top, bottom = _whole(rows, grid[0])
    left, right = _whole(columns, grid[1])
    if top >= bottom or left >= right:
        yield 0, height, 0, width
        return
    yield 0, top, 0, width
    yield bottom, height, 0, width
    yield top, bottom, 0, left
    yield top, bottom, right, width


def _whole(inner: NDArray[np.float32], grid: int) -> tuple[int, int]:
    found = np.flatnonzero(inner == 1)
    if not len(found):
        return 0, 0
    first, last = int(found[0]), int(found[-1]) + 1
    return first + -first % grid, last - last % grid


def _draw(canvas: Canvas, window: Window, rows: _Line, columns: _Line, index: int) -> None:
    """Blends the part of a rectangle that lies in a window."""
    # Only as far as the box goes.
    around = [_reach(rows[0], *window[:2]), _reach(columns[0], *window[2:])]
    (top, bottom), (left, right) = around
    top, left = top - top % canvas.grid[0], left - left % canvas.grid[1]
    bottom = min(window[1], bottom + -bottom % canvas.grid[0])
    right = min(window[3], right + -right % canvas.grid[1])
    if top >= bottom or left >= right:
        return
    outer, inner = (
        np.outer(down[top:bottom], across[left:right])
        for down, across in zip(rows, columns, strict=True)
    )
    alpha = np.round(255 * _OPACITY * (outer - inner)).astype(np.uint8)
    planes = canvas.planes
    codes = planes.encoding.codes(canvas.colour(index))
    for samples, step, code in zip(planes.samples, planes.steps, codes, strict=False):
        blend(part(samples, step, (top, bottom, left, right)), reduce_to(alpha, step), code)


def _reach(covered: NDArray[np.float32], start: int, stop: int) -> tuple[int, int]:
    found = np.flatnonzero(covered[start:stop])
    return (start + int(found[0]), start + int(found[-1]) + 1) if len(found) else (start, start)
