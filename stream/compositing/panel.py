"""The timing panel: where each millisecond of a frame went, in a corner of the picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stream.compositing.encoding import Encoding
from stream.compositing.palette import INK, WHITE
from stream.compositing.sprites import Sprite, make_sprite, to_grid
from stream.compositing.text import Typesetter, text_size
from stream.roi import Window

_STRENGTH = 0.65
_PART = 1 / 12
"""Of the picture, which the panel covers at most."""
_FULL = 0.9 * 640 * 360
"""Pixels from which on there is room for a table; in smaller pictures it is one line."""
_INFERENCE = "Inference time:"
_RATE = "frames per second"


def timing_lines(
    stages: Mapping[str, float], fps: float | None = None, provider: str | None = None
) -> list[str]:
    """The panel's lines.

    Args:
        stages: seconds by stage name, in the order in which they are to be shown; "infer" comes
            first whatever its place, worded as in OpenCV's Mask R-CNN sample.
        fps: pictures per second achieved.
        provider: where the model runs.

    Returns:
        Lines for the timing panel; a tab stands between a name and its value.
    """
    lines = []
    if "infer" in stages:
        lines.append(f"{_INFERENCE}\t{_milliseconds(stages['infer'])}")
    lines += [
        f"{name}\t{_milliseconds(seconds)}" for name, seconds in stages.items() if name != "infer"
    ]
    if fps is not None:
        lines.append(f"{_RATE}\t{fps:.1f}")
    if provider is not None:
        lines.append(f"provider\t{provider}")
    return lines


_Lines = tuple[str, ...]
_Row = tuple[NDArray[np.uint8], int, NDArray[np.uint8]]
"""What stands left, the least gap, what stands right."""


class TimingPanel:
    """Sets lines of text on a dark translucent plate. One thread at a time."""

    def __init__(self) -> None:
        self._text = Typesetter()
        # Values are smoothed and shown for a while, so the same panel comes many times.
        self._sprite = lru_cache(maxsize=8)(self._make)

    def place(
        self,
        figures: Sequence[str],
        notes: Sequence[str],
        size: tuple[int, int],
        encoding: Encoding,
        steps: tuple[tuple[int, int], ...],
    ) -> tuple[Sprite, tuple[Window, ...]] | None:
        """Sets the panel, which covers at most a twelfth of the picture.

        Args:
            figures: one text each; after a tab follows a value, which is set flush right. What does
                not fit is left out, from the last on; a small picture has inference time and frames
                per second in one line.
            notes: lines that stay where figures have to give way.
            size: the picture's height and width in pixels.
            encoding: how its colours are written.
            steps: rows and columns of luma per sample of each plane.

        Returns:
            What is to be put into the picture, and where it may lie: top left, top right, bottom
            left, bottom right; None where there is nothing to say, or no room for a letter.
        """
        if not figures and not notes:
            return None
        sprite = self._sprite(tuple(figures), tuple(notes), size, encoding, steps)
        if sprite is None:
            return None
        return sprite, _corners(size, sprite.size, steps[-1])

    def _make(
        self,
        figures: _Lines,
        notes: _Lines,
        size: tuple[int, int],
        encoding: Encoding,
        steps: tuple[tuple[int, int], ...],
    ) -> Sprite | None:
        letters, grid = text_size(*size), steps[-1]
        top, left = _corner(size, grid)
        room = ((size[0] - top) // grid[0] * grid[0], (size[1] - left) // grid[1] * grid[1])
        around, line_height = math.ceil(0.4 * letters), math.ceil(1.3 * letters)
        for lines, shortened in _choices(figures, notes, size):
            height, _ = to_grid(len(lines) * line_height + around, 1, grid)
            # All of the width, or what a twelfth of the picture leaves.
            widest = min(room[1], int(_PART * size[0] * size[1] / height) // grid[1] * grid[1])
            most = widest - 2 * around - grid[1]
            if height > room[0] or most < letters:
                continue
            rows = [self._row(line, letters, most if shortened else room[1]) for line in lines]
            needed = max(left.shape[1] + gap + right.shape[1] for left, gap, right in rows)
            if needed > most:
                continue
            # In steps of the font size, so that the panel does not breathe with its digits.
            inner = min(most, -(-needed // letters) * letters)
            plate = _plate(rows, to_grid(height, inner + 2 * around, grid), inner, letters)
            return make_sprite(plate, WHITE, INK, _STRENGTH, 0.4 * letters, encoding, steps)
        return None

    def _row(self, line: str, size: int, most: int) -> _Row:
        """A line; what stands right has the first claim to room, and is whole."""
        name, _, value = line.partition("\t")
        gap = size if value else 0
        right = self._text.line(value, size)
        left = self._text.fitted(name, size, max(1, most - gap - right.shape[1]))
        return left, gap, right


def _corner(size: tuple[int, int], grid: tuple[int, int]) -> tuple[int, int]:
    """Where the panel begins: row and column."""
    letters = text_size(*size)
    return to_grid(letters // 2, letters // 2, grid)


def _corners(
    size: tuple[int, int], panel: tuple[int, int], grid: tuple[int, int]
) -> tuple[Window, ...]:
    """Where a panel of a size begins and ends in each corner, as far from the edges in all."""
    top, left = _corner(size, grid)
    bottom, right = (
        max(first, (whole - first - long) // step * step)
        for first, whole, long, step in zip((top, left), size, panel, grid, strict=True)
    )
    return tuple(
        (row, row + panel[0], column, column + panel[1])
        for row in (top, bottom)
        for column in (left, right)
    )


def _choices(
    figures: _Lines, notes: _Lines, size: tuple[int, int]
) -> Iterator[tuple[_Lines, bool]]:
    """What the panel may say, the best first, and whether its lines may be shortened to fit."""
    if size[0] * size[1] >= _FULL:
        for count in range(len(figures), 1, -1):
            yield (*figures[:count], *notes), False
    for short in _in_one_line(figures):
        yield (short, *notes), False
    for count in range(len(notes), 0, -1):
        yield notes[:count], count == 1
    if figures and not notes:
        yield figures[:1], True


def _in_one_line(figures: _Lines) -> Iterator[str]:
    """Inference time and frames per second, as far as they are known, longer and shorter."""
    known = dict(line.split("\t", 1) for line in figures if "\t" in line)
    inference, rate = known.get(_INFERENCE), known.get(_RATE)
    if inference is not None and rate is not None:
        yield f"{_INFERENCE} {inference}\t{rate} fps"
        yield f"{inference}\t{rate} fps"
    if inference is not None:
        if rate is None:
            yield f"{_INFERENCE} {inference}"
        yield inference
    elif rate is not None:
        yield f"{rate} fps"


def _plate(
    rows: Sequence[_Row], size: tuple[int, int], inner: int, letters: int
) -> NDArray[np.uint8]:
    """How much text covers each pixel of the panel, uint8 of its size."""
    around, line_height = math.ceil(0.4 * letters), math.ceil(1.3 * letters)
    plate = np.zeros(size, np.uint8)
    for index, (left, _, right) in enumerate(rows):
        top, end = around // 2 + index * line_height, around + inner
        plate[top : top + left.shape[0], around : around + left.shape[1]] = left
        plate[top : top + right.shape[0], end - right.shape[1] : end] = right
    return plate


def _milliseconds(seconds: float) -> str:
    milliseconds = 1000 * seconds
    return f"{milliseconds:.1f} ms" if milliseconds < 99.95 else f"{milliseconds:.0f} ms"
