"""Covering what a small plane of cells says, in all planes of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.behind import composed
from stream.compositing.canvas import Canvas
from stream.compositing.coverage import Grid, Patches, joined, kept, pixels, windows_of
from stream.compositing.mosaic import coarse
from stream.compositing.planes import Planes, blend_around, part, put
from stream.kernels import compiled
from stream.kernels.conceal import Before
from stream.pictures.pixels import reduce_to
from stream.roi import Window
from stream.types import Array

_HALF = 128
_STEPS = frozenset({(1, 1), (2, 2)})


def conceal(
    canvas: Canvas,
    grid: Grid,
    patches: Sequence[Patches],
    *,
    values: Sequence[int] | None,
    block: int,
    hard: bool,
) -> None:
    """Covers a part of a picture, in place.

    Args:
        canvas: the frame.
        grid: its cells.
        patches: of what is covered, of at least one object.
        values: the code value of each plane that covers it; None for the picture in squares.
        block: the squares' side in pixels, a multiple of the steps of chroma.
        hard: whether squares are seen, and end without a transition, instead of values that go
            over into each other.
    """
    planes, bare = canvas.planes, joined(grid, patches)
    opacity = canvas.alpha if values is None else None
    kernels, taken = compiled(), _taken(planes, values, block, hard=hard)
    if kernels is not None and taken is not None and opacity is None:
        kernels.cover(bare, grid.side, *taken)
        return
    windows = windows_of(grid, patches)
    shares = [_shares(grid, bare, cells, set(planes.steps), hard=hard) for cells in windows]
    places = [pixels(grid, cells) for cells in windows]
    for place, (plane, step) in enumerate(zip(planes.samples, planes.steps, strict=True)):
        parts = [part(plane, step, window) for window in places]
        if values is not None:
            for there, share in zip(parts, shares, strict=True):
                scratch = canvas.memory.scratch("added", share[step].shape)
                blend_around(there, share[step], values[place], scratch)
            continue
        # A square may lie in several windows, and is the mean of what was there before.
        own = None if opacity is None else reduce_to(opacity, step)
        covers = [
            coarse(plane, step, window, block, smooth=not hard, opacity=own) for window in places
        ]
        for there, cover, share in zip(parts, covers, shares, strict=True):
            if hard:
                put(there, cover, share[step])
            else:
                ours: Array = np.ascontiguousarray(there)
                there[...] = composed(ours, cover, share[step])


def conceal_lately(
    canvas: Canvas,
    grid: Grid,
    found: Before,
    before: Sequence[Before],
    share: float,
    *,
    values: Sequence[int] | None,
    block: int,
    hard: bool,
) -> bool:
    """Covers a part of a picture and what was covered lately, in place and in one call.

    Args:
        canvas: the frame.
        grid: its cells.
        found: objects that are covered.
        before: those of frames before.
        share: the IoU of boxes that stand in one place, at least.
        values: as `conceal` takes it and what follows.
        block: of squares.
        hard: how they end.

    Returns:
        Whether it was done, as is wherever loops are compiled for such a picture and each object of
        before stands where one of those found does; else nothing is covered.
    """
    kernels, taken = compiled(), _taken(canvas.planes, values, block, hard=hard)
    if kernels is None or taken is None or (values is None and canvas.alpha is not None):
        return False
    return kernels.conceal(found, before, share, grid.side, *taken)


def _taken(
    planes: Planes, values: Sequence[int] | None, block: int, *, hard: bool
) -> tuple[Sequence[NDArray[np.uint8]], Sequence[int], Sequence[int], int] | None:
    """Samples, steps, values and squares as compiled loops take them; None where they do not."""
    if not planes.narrow or not (values is not None or hard) or not _STEPS.issuperset(planes.steps):
        return None
    samples = cast("Sequence[NDArray[np.uint8]]", planes.samples)
    steps = [step[0] for step in planes.steps]
    if values is None:
        return samples, steps, [0] * len(samples), block
    return samples, steps, values[: len(samples)], 0


def _shares(
    grid: Grid, bare: NDArray[np.uint8], cells: Window, steps: set[tuple[int, int]], *, hard: bool
) -> dict[tuple[int, int], NDArray[np.uint8]]:
    """How far samples stay in planes of each step; where it is hard, 255 where they do not."""
    whole, shares = kept(bare, grid, cells), {}
    for step in steps:
        share = reduce_to(whole, step)
        if hard:
            _, inside = cv2.threshold(share, _HALF - 1, 255, cv2.THRESH_BINARY_INV)
            share = np.asarray(inside, np.uint8)
        shares[step] = share
    return shares
