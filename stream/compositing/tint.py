"""Layers that blend each object's colour by the distance from its edge, several in one pass."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.compositing.canvas import Canvas
from stream.compositing.layer import Layer
from stream.compositing.masks import Profile, extent, kept, profile, strips
from stream.compositing.pasted import Place
from stream.compositing.planes import Planes, blend_around, blend_shares, part
from stream.compositing.squares import Rimmed, wide
from stream.kernels import Kernels, compiled
from stream.kernels.memory import address_of
from stream.kernels.tint import WIDEST, Object
from stream.pictures.pixels import reduce_to
from stream.roi import Window

_STRIP = 192 * 1024
"""Bytes of luma that are painted at a time: what is made on the way stays near the processor, and
calls are few, of which each costs as much as thousands of pixels."""
_THIN = 16
_RANKS = 255
"""Objects that are told apart by one byte."""


class Tint(Layer):
    """A layer that only says how strongly a colour covers at a distance from the object's edge.

    Such layers that follow each other in a look are painted in one pass over each object, the
    strongest of them at each distance, so that several cost what one costs.
    """

    only_adds: ClassVar[bool] = True
    pastes: ClassVar[int] = 2
    coloured = True

    tidy: ClassVar[bool] = False
    """Whether specks and holes under a thousandth of the object are left out."""

    @abstractmethod
    def cover(self, distance: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
        """Opacity, 0..1, at distances to a straight edge in pixels, positive inside.

        Args:
            distance: float64, any shape.
            size: the picture's height and width in pixels.
        """

    def reach(self, size: tuple[int, int]) -> float:
        """How far from the edge opacity still changes, in pixels; at most 6.5."""
        return 0.5

    def margin(self, size: tuple[int, int]) -> int:
        """As far as the square reaches over which masks are counted."""
        return _side((self,), size) // 2

    def paint(self, canvas: Canvas) -> None:
        """Blends the colour of each object where nothing is in front of it."""
        tint(canvas, (self,))


class Tints(Layer):
    """Several tints in one pass."""

    only_adds: ClassVar[bool] = True
    pastes: ClassVar[int] = 2
    coloured = True

    def __init__(self, layers: Sequence[Tint]) -> None:
        super().__init__(layers[0].style)
        self._layers = tuple(layers)

    def margin(self, size: tuple[int, int]) -> int:
        """The largest of theirs."""
        return _side(self._layers, size) // 2

    def paint(self, canvas: Canvas) -> None:
        """Blends the strongest of them."""
        tint(canvas, self._layers)


def tint(canvas: Canvas, layers: tuple[Tint, ...]) -> None:
    """Blends each object's colour into the picture, as strongly as the strongest layer says."""
    strength = _profile(layers, canvas.size)
    tidy = any(layer.tidy for layer in layers)
    thin = _THIN + 2 * (canvas.margin - strength.side // 2)
    kernels = compiled()
    if kernels is not None and _suits(canvas, strength):
        order, reach = canvas.stack.order, strength.side // 2
        every = [(index, _found(canvas, index, reach, tidy=tidy)) for index in order]
        if canvas.memory.kept:  # Else they share memory.
            there = [(index, *one) for index, one in every if one is not None]
            _at_once(kernels, canvas, strength, there, thin)
            return
    for index in canvas.stack.order:
        found = canvas.seen(index, tidy=tidy)
        if found is None:
            continue
        planes = canvas.planes  # Not before: a picture without objects is not copied.
        codes = planes.encoding.codes(canvas.colour(index))
        mask = found.rimmed(strength.side // 2)
        slim = min(found.inside.shape) <= thin
        for rows, columns in _pieces(found.inside, planes, strength.side // 2):
            (top, _, left, _) = found.window
            window = (top + rows.start, top + rows.stop, left + columns.start, left + columns.stop)
            _tint_piece(canvas, mask, rows, columns, window, strength, codes, slim)


def _suits(canvas: Canvas, strength: Profile) -> bool:
    """Whether the compiled loops paint such pictures."""
    return (
        canvas.encoding.depth == 8
        and canvas.grid in ((1, 1), (2, 2))
        and canvas.size[1] <= WIDEST
        and len(canvas.instances) <= _RANKS
        and int(strength.shares[0]) == 256
    )


def _found(canvas: Canvas, index: int, rim: int, *, tidy: bool) -> tuple[Place, object] | None:
    """Where an object's pixels are, and what holds them there."""
    block = canvas.block
    if block is not None and (block.whole(index) or not tidy):
        place = block.place(index)
        return None if place is None else (place, block)
    found = canvas.tidied(index) if tidy else canvas.pasted(index, exactly=False)
    if found is None:
        return None
    mask = found.rimmed(rim)
    wide = mask.whole.shape[1]
    return (address_of(mask.whole) + mask.row * wide + mask.column, wide, found.window), mask


def _at_once(
    kernels: Kernels,
    canvas: Canvas,
    strength: Profile,
    found: Sequence[tuple[int, Place, object]],
    thin: int,
) -> None:
    """Tints all objects by the compiled loops.

    Args:
        kernels: those loops.
        canvas: the frame.
        strength: how colours cover.
        found: the objects, what is farthest behind first: where their pixels are, and what holds
            them there.
        thin: up to how many pixels across an object may have none deep inside.
    """
    if not found:
        return
    planes = canvas.planes  # Not before: a picture without objects is not copied.
    stack = canvas.stack
    covered, covers = stack.covered.tolist(), stack.covers.tolist()
    objects: list[Object] = []
    for index, (address, stride, window), _ in found:
        slim = min(window[1] - window[0], window[3] - window[2]) <= thin
        codes = planes.encoding.codes(canvas.colour(index))
        bare = strength.bare if slim else 256
        objects.append(Object(address, stride, bare, window, covered[index], covers[index], codes))
    kernels.tint(
        objects,
        canvas.memory.plane("ranks", canvas.size) if any(covers) else None,
        strength.side,
        strength.shares,
        planes.places,
    )


def _pieces(inside: NDArray[np.uint8], planes: Planes, reach: int) -> Iterator[tuple[slice, slice]]:
    """The rows and columns of a mask that its colour touches, some at a time."""
    most = _STRIP // planes.samples[0].itemsize
    if inside.size <= most:  # A small object fills most of its window.
        yield slice(0, inside.shape[0]), slice(0, inside.shape[1])
        return
    for start, stop in strips(inside.shape, planes.grid, most):
        touched = extent(inside, start, stop, reach, planes.grid)
        if touched is not None:
            yield touched


def _tint_piece(
    canvas: Canvas,
    mask: Rimmed,
    rows: slice,
    columns: slice,
    window: Window,
    strength: Profile,
    codes: Sequence[int],
    thin: bool,
) -> None:
    """Blends a colour into some rows and columns of an object's window."""
    planes, scratch = canvas.planes, canvas.memory.scratch
    stays = kept(mask, rows, columns, strength, scratch, thin=thin, shares=planes.narrow)
    before = (1, 1)
    for samples, step, code in zip(planes.samples, planes.steps, codes, strict=False):
        if step != before:  # Once for both planes of chroma.
            stays, before = reduce_to(stays, step), step
        there = part(samples, step, window)
        if planes.narrow:
            blend_shares(there, stays, code, wide(scratch, stays.shape))
        else:
            blend_around(there, stays, code)


@lru_cache(maxsize=64)
def _side(layers: tuple[Tint, ...], size: tuple[int, int]) -> int:
    # At most 15, so that a count of pixels fits a byte.
    return min(15, 2 * int(max(layer.reach(size) for layer in layers) - 0.5) + 3)


@lru_cache(maxsize=64)
def _profile(layers: tuple[Tint, ...], size: tuple[int, int]) -> Profile:
    def cover(distance: NDArray[np.float64]) -> NDArray[np.float64]:
        covered = [layer.cover(distance, size) for layer in layers]
        return np.asarray(np.maximum.reduce(covered), np.float64)

    return profile(_side(layers, size), cover)
