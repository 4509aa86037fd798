"""What `masks.c` does: masks of a few cells at the pixels of a picture."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.kernels.memory import (
    ADDRESS,
    COUNT,
    FRACTION,
    LENGTH,
    NUMBER,
    PLANE,
    REAL,
    Function,
    Kind,
    Loops,
    address_of,
    plane_of,
    scratch_of,
)
from stream.kernels.specks import runs_in


class Masks(Loops):
    """Brings masks to the pixels of a picture."""

    kinds: ClassVar[dict[str, Kind]] = {
        "objects": (
            (
                *(LENGTH, ADDRESS, NUMBER, NUMBER, ADDRESS, NUMBER, NUMBER, REAL),
                *(NUMBER, NUMBER, NUMBER, REAL, COUNT, ADDRESS, ADDRESS, ADDRESS),
            ),
            COUNT,
        ),
        "falls": (
            (LENGTH, ADDRESS, *(NUMBER,) * 4, REAL, REAL, NUMBER, ADDRESS, ADDRESS),
            NUMBER,
        ),
        "soft": (
            (ADDRESS, NUMBER, NUMBER, FRACTION, ADDRESS, ADDRESS, FRACTION, ADDRESS, ADDRESS),
            None,
        ),
        "union": (
            (LENGTH, ADDRESS, NUMBER, NUMBER, *(ADDRESS,) * 3, *PLANE, ADDRESS, ADDRESS),
            None,
        ),
    }

    _objects: Function
    _falls: Function
    _soft: Function
    _union: Function

    def objects(
        self,
        masks: NDArray[np.float32],
        boxes: NDArray[np.float32],
        size: tuple[int, int],
        threshold: float,
        grid: tuple[int, int],
        margin: int,
        part: float,
        out: NDArray[np.uint8],
    ) -> tuple[list[list[int]], int]:
        """Where `roi.sample_mask` is above a threshold, with a margin like the outermost pixels.

        Args:
            masks: float32 [N, M, M], 0..1.
            boxes: float32 [N, 4], x1, y1, x2, y2 in pixels of the picture; anything, also NaN.
            size: the picture's height and width in pixels.
            threshold: 0..1.
            grid: rows and columns on which windows start, and end unless the picture ends.
            margin: pixels to add around, and once more around what is written.
            part: see `Specks.pieces`.
            out: uint8, contiguous; becomes 1 or 0, mask after mask, each with its margin, if it has
                as many bytes as are told.

        Returns:
            Eight numbers for each mask, and how many bytes all take. The first four are its window:
            rows y1 to y2 and columns x1 to x2, ends exclusive, all 0 where it is nowhere. Where it
            was written follow the row of the topmost pixel, and the column of the middle one an
            eighth of the window below it, from the window's first, -1 where no pixel is above the
            threshold; at which byte the window's first pixel is; and how many small pieces and
            holes `Specks.pieces` finds.
        """
        masks = np.ascontiguousarray(masks, np.float32)
        boxes = np.ascontiguousarray(boxes, np.float32)
        count, rows, columns = masks.shape
        found = np.empty((count, 8), np.int64)
        scratch = max(_sampling(size[0] + size[1], columns), runs_in(rows, columns))
        taken: int = self._objects(
            *(count, address_of(masks), rows, columns, address_of(boxes), *size, threshold),
            *(*grid, margin, part, len(out), address_of(out)),
            *(scratch_of(scratch), address_of(found)),
        )
        return found.tolist(), taken

    def falls(
        self,
        boxes: NDArray[np.float32],
        cells: tuple[int, int],
        size: tuple[int, int],
        threshold: float,
        feather: float,
        *,
        held: bool,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None:
        """How masks fall off at their edges, for `union`.

        Args:
            boxes: float32 [N, 4], x1, y1, x2, y2 in pixels of the picture; anything, also NaN.
            cells: rows and columns of the masks.
            size: the picture's height and width in pixels.
            threshold: 0..1.
            feather: over how many pixels they fall.
            held: whether they fall beyond the edge only; else half on each side.

        Returns:
            int64 [N, 4], where each lies, rows y1 to y2 and columns x1 to x2, ends exclusive, all 0
            where nowhere; and float32 [N, 2], its gain and offset. None where any has too few
            pixels to fall over so many.
        """
        boxes = np.ascontiguousarray(boxes, np.float32)
        windows = np.empty((len(boxes), 4), np.int64)
        found = np.empty((len(boxes), 2), np.float32)
        averaged = self._falls(
            *(len(boxes), address_of(boxes), *cells, *size, threshold, feather, held),
            *(address_of(windows), address_of(found)),
        )
        return None if averaged else (windows, found)

    def soft(
        self,
        mask: NDArray[np.float32],
        box: NDArray[np.float32],
        window: tuple[int, int, int, int],
        gain: float,
        offset: float,
    ) -> NDArray[np.uint8]:
        """`roi.sample_mask` times a gain and an offset, in whole numbers of 0 to 255.

        Halves become the even one.

        Args:
            mask: float32 [M, M].
            box: float32 [4], x1, y1, x2, y2 in pixels of the picture; not empty, finite.
            window: of the picture, not empty.
            gain: what cells are multiplied by.
            offset: what is added to each pixel.

        Returns:
            uint8 of the window's size.
        """
        mask, box = (np.ascontiguousarray(one, np.float32) for one in (mask, box))
        height, width = window[1] - window[0], window[3] - window[2]
        out = np.empty((height, width), np.uint8)
        scratch = scratch_of(_sampling(height + width, mask.shape[1]))
        lines = np.array(window, np.int64)
        self._soft(
            address_of(mask),
            *mask.shape,
            gain,
            address_of(box),
            address_of(lines),
            offset,
            address_of(out),
            scratch,
        )
        return out

    def union(
        self,
        masks: NDArray[np.float32],
        boxes: NDArray[np.float32],
        windows: NDArray[np.int64],
        falls: NDArray[np.float32],
        plane: NDArray[np.uint8],
    ) -> NDArray[np.bool_]:
        """`soft` of many masks, the most of them at each pixel of a picture, in place.

        Args:
            masks: float32 [N, M, M].
            boxes: float32 [N, 4], not empty, finite where the window is not empty.
            windows: int64 [N, 4]; nothing is done with an empty one.
            falls: float32 [N, 2], gains and offsets.
            plane: uint8 of the picture's size; raised to what is more.

        Returns:
            bool [N], whether anything of each is more than 0.
        """
        masks, boxes = (np.ascontiguousarray(one, np.float32) for one in (masks, boxes))
        found = np.empty(len(masks), np.bool_)
        self._union(
            len(masks),
            address_of(masks),
            *masks.shape[1:],
            address_of(boxes),
            address_of(windows),
            address_of(falls),
            *plane_of(plane),
            scratch_of(_sampling(sum(plane.shape), masks.shape[2])),
            address_of(found),
        )
        return found


def _sampling(lines: int, columns: int) -> int:
    """Bytes for sampling a mask of so many columns at so many rows and columns together."""
    return 8 * (lines + 2 * columns + 64)
