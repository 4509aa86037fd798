"""What `conceal.c` does: covering objects, and what was covered lately, in one call."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.kernels.cells import room_to_join
from stream.kernels.cover import places_of, room_to_cover
from stream.kernels.memory import (
    ADDRESS,
    AREA,
    COUNT,
    FRACTION,
    LENGTH,
    NUMBER,
    Function,
    Kind,
    Loops,
    address_of,
    scratch_of,
)

WORD = 64
"""Cells of a word."""

Before = tuple[int, int, int]
"""Of a frame's objects where their boxes lie in memory, float32 [N, 4], where what `Cells.join`
takes, int64 [N, 8], and N; both contiguous."""


class Conceal(Loops):
    """Covers the objects of frames that follow each other."""

    kinds: ClassVar[dict[str, Kind]] = {
        "conceal": (
            (
                *(LENGTH, ADDRESS, ADDRESS, LENGTH, ADDRESS, FRACTION),
                *(NUMBER, *AREA, NUMBER, ADDRESS, LENGTH, ADDRESS),
            ),
            NUMBER,
        ),
        "unite": (
            (*(LENGTH, ADDRESS, ADDRESS) * 2, FRACTION, *(ADDRESS,) * 4),
            COUNT,
        ),
        "stand": ((LENGTH, ADDRESS, LENGTH, ADDRESS, FRACTION, ADDRESS), None),
    }

    _conceal: Function
    _stand: Function
    _unite: Function

    def standing(
        self, boxes: NDArray[np.float32], others: NDArray[np.float32], share: float
    ) -> list[int]:
        """Which of others each box overlaps most.

        Args:
            boxes: float32 [N, 4], x1, y1, x2, y2, contiguous.
            others: float32 [M, 4].
            share: the IoU that it takes at least.

        Returns:
            Of each its place among the others, -1 where none does.
        """
        likest = np.empty(len(boxes), np.int64)
        self._stand(
            *(len(boxes), address_of(boxes), len(others), address_of(others)),
            *(share, address_of(likest)),
        )
        found: list[int] = likest.tolist()
        return found

    def united(
        self, before: Before, later: Before, share: float, cells: tuple[int, int]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.uint64]]:
        """Objects of some frames together with those of a later one.

        Args:
            before: N objects.
            later: M objects.
            share: the IoU of boxes that stand in one place, at least.
            cells: rows and columns of the grid that all lie in.

        Returns:
            Boxes, float32 [K, 4], of the N and of those of the M that stand with none of these, of
            two the later one; int64 [K, 8], what `Cells.join` takes of each; and the words, uint64,
            of the cells that each takes at either time.
        """
        (boxes, items, count), (later_boxes, later_items, later_count) = before, later
        most = count + later_count
        made, made_boxes = (
            np.empty(8 * most + later_count + 1, np.int64),
            np.empty(4 * most, np.float32),
        )
        room = np.empty(most * cells[0] * -(-cells[1] // WORD), np.uint64)
        start = address_of(made)
        found: int = self._unite(
            *(count, items, boxes, later_count, later_items, later_boxes, share),
            *(start, address_of(made_boxes), address_of(room), start + 8 * (made.size - 1)),
        )
        return (
            made_boxes[: 4 * found].reshape(found, 4),
            made[: 8 * found].reshape(found, 8),
            room[: int(made[-1])],
        )

    def conceal(
        self,
        found: Before,
        before: Sequence[Before],
        share: float,
        side: int,
        samples: Sequence[NDArray[np.uint8]],
        steps: Sequence[int],
        values: Sequence[int],
        block: int,
    ) -> bool:
        """Covers objects, and those of frames before if each stands where one of them does.

        Args:
            found: the objects.
            before: what was found in frames before.
            share: the IoU of boxes that stand in one place, at least.
            side: as `Cover.cover` takes it and what follows.
            samples: of each plane.
            steps: of each.
            values: of each.
            block: of squares.

        Returns:
            Whether they do; else nothing is covered.
        """
        count = found[2]
        numbers = [number for one in before for number in one]
        earlier, places = (COUNT * len(numbers))(*numbers), places_of(samples, steps, values)
        height, width = samples[0].shape
        rows, columns = -(-height // side), -(-width // side)
        more = max(room_to_join(rows, columns), room_to_cover(height, columns, side, block))
        scratch = scratch_of(64 * (count + sum(numbers[2::3])) + rows * columns + 8 + more)
        return bool(
            self._conceal(
                *(count, found[1], found[0], len(before), ctypes.addressof(earlier), share),
                *(side, height, width, len(samples), ctypes.addressof(places), block, scratch),
            )
        )
