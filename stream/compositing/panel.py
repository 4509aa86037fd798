"""The timing panel: where each millisecond of a frame went, top left in the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import av
import numpy as np
from numpy.typing import NDArray

from stream.compositing.encoding import Encoding
from stream.compositing.labels import text_size
from stream.compositing.palette import INK, WHITE
from stream.compositing.planes import writable_planes
from stream.compositing.stamps import Stamp, make_stamp, to_grid
from stream.compositing.text import Typesetter
from stream.roi import Window

_STRENGTH = 0.65


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
        Lines for `TimingPanel.paint`; a tab stands between a name and its value.
    """
    lines = []
    if "infer" in stages:
        lines.append(f"Inference time:\t{_milliseconds(stages['infer'])}")
    lines += [
        f"{name}\t{_milliseconds(seconds)}" for name, seconds in stages.items() if name != "infer"
    ]
    if fps is not None:
        lines.append(f"frames per second\t{fps:.1f}")
    if provider is not None:
        lines.append(f"provider\t{provider}")
    return lines


class TimingPanel:
    """Paints lines of text on a dark translucent plate. One thread at a time."""

    def __init__(self) -> None:
        self._text = Typesetter()
        # Values are smoothed and shown for a while, so the same panel comes many times.
        self._stamp = lru_cache(maxsize=8)(self._make)

    def paint(self, picture: av.VideoFrame, lines: Sequence[str]) -> Window | None:
        """Paints the panel top left, in place.

        Args:
            picture: planar YUV or grey; copied first where the decoder still refers to it.
            lines: one text each; after a tab follows a value, which is set flush right. What does
                not fit into the picture is shortened or, from the last line on, left out.

        Returns:
            The part of the picture that the panel covers; None where nothing was painted.

        Raises:
            ValueError: the picture is not planar little-endian YUV or grey of 8 to 16 bits.
        """
        if not lines:
            return None
        planes = writable_planes(picture)
        height, width = planes.size
        size = text_size(height, width)
        rows, columns = planes.grid
        top, left = to_grid(size // 2, size // 2, planes.grid)
        room = ((height - top) // rows * rows, (width - left) // columns * columns)
        stamp = self._stamp(tuple(lines), size, room, planes.encoding, planes.steps)
        if stamp is None:
            return None
        stamp.put(planes, top, left)
        return top, top + stamp.size[0], left, left + stamp.size[1]

    def _make(
        self,
        lines: tuple[str, ...],
        size: int,
        room: tuple[int, int],
        encoding: Encoding,
        steps: tuple[tuple[int, int], ...],
    ) -> Stamp | None:
        around, line_height, grid = math.ceil(0.4 * size), math.ceil(1.3 * size), steps[-1]
        # Not more than half a small picture, but one line where that is all there is room for.
        fitting = (room[0] - around - grid[0]) // line_height
        count = min(len(lines), fitting, max(1, (room[0] // 2 - around) // line_height))
        most = room[1] - 2 * around - grid[1]
        if count < 1 or most < size:
            return None
        rows = [self._row(line, size, most) for line in lines[:count]]
        # In steps of the font size, so that the panel does not breathe with its digits.
        widest = max(left.shape[1] + gap + right.shape[1] for left, gap, right in rows)
        inner = min(most, -(-widest // size) * size)
        height, width = to_grid(count * line_height + around, inner + 2 * around, grid)
        plate = np.zeros((height, width), np.uint8)
        for index, (left, _, right) in enumerate(rows):
            top, end = around // 2 + index * line_height, around + inner
            plate[top : top + left.shape[0], around : around + left.shape[1]] = left
            plate[top : top + right.shape[0], end - right.shape[1] : end] = right
        return make_stamp(plate, WHITE, INK, _STRENGTH, 0.4 * size, encoding, steps)

    def _row(
        self, line: str, size: int, most: int
    ) -> tuple[NDArray[np.uint8], int, NDArray[np.uint8]]:
        """What stands left, the least gap, what stands right, which has the first claim to room."""
        name, _, value = line.partition("\t")
        gap = size if value else 0
        right = self._text.fitted(value, size, most)
        left = self._text.fitted(name, size, max(1, most - gap - right.shape[1]))
        return left, gap, right


def _milliseconds(seconds: float) -> str:
    milliseconds = 1000 * seconds
    return f"{milliseconds:.1f} ms" if milliseconds < 99.95 else f"{milliseconds:.0f} ms"
