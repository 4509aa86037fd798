"""The objects' own colours at their edges, where a pixel is a mixture with what is behind."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.mattes import on_grid, wider
from stream.compositing.planes import Planes, Samples, part, shrink_to
from stream.pictures.pixels import reduce_to
from stream.roi import Window
from stream.types import Array

_REACH = 80
"""A picture's shorter side over how far around a pixel colours are looked for."""
_FINE = 2
"""Over how many points of the small picture they are averaged."""
_TINY = np.float32(1e-9)

_NONE = np.zeros(0, np.float32)
_ROW = 1 << 14
"""OpenCV takes maps of 32767 columns at most."""

_SHARE = (np.arange(256) / 255).astype(np.float32)


def reach_of(size: tuple[int, int], feather: float) -> int:
    """How far around a pixel its object's colour is looked for, in pixels.

    Args:
        size: the picture's height and width.
        feather: over how many pixels the matte falls off.
    """
    return max(2, min(size) // _REACH, int(np.ceil(feather)))


def grown(window: Window, size: tuple[int, int], grid: tuple[int, int], by: int) -> Window:
    """A window with so many pixels around it, within a picture of a (height, width), on a grid.

    It is a grid on which it can be made smaller fast, too.
    """
    unit = _shrink(by)
    grid = (unit * grid[0], unit * grid[1])
    return on_grid(wider(window, size, by), size, grid)


def _shrink(reach: int) -> int:
    """How much smaller colours are looked for: a power of two, as halving is fastest."""
    return 1 << round(math.log2(max(1, reach // _FINE)))


class _Sides:
    """The average colours of objects and of what is behind them, in a small picture.

    Those that surely belong to a side count by far the most (after M. Forte, "Approximate Fast
    Foreground Colour Estimation", ICIP 2021).

    Args:
        alpha: uint8 [H, W] of a part of the picture.
        reach: how far around a pixel colours are averaged, in pixels.
        opacity: how opaque the part is, which alpha is a share of; None where it is wholly so.
    """

    def __init__(
        self, alpha: NDArray[np.uint8], reach: int, opacity: NDArray[np.uint8] | None
    ) -> None:
        height, width = alpha.shape
        shrink = _shrink(reach)
        self.size = (-(-width // shrink), -(-height // shrink))
        self._side = 2 * -(-reach // shrink) + 1
        there: Array = self._shrunk(alpha) * np.float32(1 / 255)
        behind: Array = 1 - there
        if opacity is not None:
            behind = np.maximum(self._shrunk(opacity) * np.float32(1 / 255) - there, 0)
        squares = [there * there, behind * behind]
        self._weights: Array = cv2.merge([one * one for one in squares])
        totals = self._around(self._weights)
        self._unknown: Array = totals < _TINY
        self._totals = np.maximum(totals, _TINY)

    def _shrunk(self, plane: Samples) -> Array:
        return np.asarray(shrink_to(plane, self.size), np.float32)

    def _around(self, small: Array) -> Array:
        return np.asarray(cv2.blur(small, (self._side, self._side)), np.float32)

    def of(self, plane: Samples) -> NDArray[np.float32]:
        """The colours of both sides in a plane, float32 [h, w, 2]."""
        small = self._shrunk(plane)
        weighed = self._around(cv2.multiply(cv2.merge([small, small]), self._weights))
        sides = np.asarray(cv2.divide(weighed, self._totals), np.float32)
        # Of a faint speck alone nobody knows the colour; none at all would be green.
        for one, other in ((0, 1), (1, 0)):
            np.copyto(sides[..., one], sides[..., other], where=self._unknown[..., one])
        return sides


class _Rim:
    """Where samples are a mixture of an object and of what is behind it.

    Args:
        alpha: uint8 [H, W] of the planes' part.
        reach: how far around an object its colour is wanted, in the planes' samples; 0 where what
            has no part of an object stays as it is.
        small: width and height of the small picture that says what each side looks like.
    """

    def __init__(self, alpha: NDArray[np.uint8], reach: int, small: tuple[int, int]) -> None:
        # Below one it wraps around: one comparison for both ends.
        mixed: Array = np.subtract(alpha, np.uint8(1)) < np.uint8(254)
        self._far: Array | None = None
        if reach:
            side = 2 * reach + 1
            near: Array = np.asarray(cv2.dilate(alpha, np.ones((side, side), np.uint8)))
            self._far = near == 0
            mixed = (near > 0) & (alpha < 255)
        self._places = np.flatnonzero(mixed)
        self._share: Array = _SHARE[alpha.ravel()[self._places]]
        self._map = self._points(alpha.shape, small)

    def _points(self, shape: tuple[int, int], small: tuple[int, int]) -> NDArray[np.float32]:
        """Where the middles of the samples lie in the small picture, in rows of `_ROW`."""
        places = self._places.astype(np.int32)  # which is divided several times as fast
        rows = places // np.int32(shape[1])
        columns = places - rows * np.int32(shape[1])
        points = np.zeros((-(-len(rows) // _ROW) * _ROW, 2), np.float32)
        for index, (at, few, many) in enumerate(
            ((columns, small[0], shape[1]), (rows, small[1], shape[0]))
        ):
            points[: len(at), index] = at
            points[:, index] *= np.float32(few / many)
            points[:, index] += np.float32(0.5 * few / many - 0.5)
        return points.reshape(-1, _ROW, 2)

    def mend(self, samples: Samples, sides: NDArray[np.float32], beyond: int) -> None:
        """Changes a part of a plane.

        What the mixture of both sides leaves unexplained is given to the object.

        Args:
            samples: of the size of alpha.
            sides: colours of the object and of what is behind, float32 [h, w, 2].
            beyond: the code value where no object is near.
        """
        if not len(self._places):
            return
        own: Array = np.ascontiguousarray(samples)
        seen = own.ravel()[self._places].astype(np.float32)
        found: Array = cv2.remap(
            sides, self._map, _NONE, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        front, behind = found.reshape(-1, 2)[: len(seen)].T
        # front + share * (seen - share * front - (1 - share) * behind)
        mixture = front - behind
        mixture *= self._share
        mixture += behind
        seen -= mixture
        seen *= self._share
        seen += front
        np.rint(np.clip(seen, 0, np.iinfo(own.dtype).max, out=seen), out=seen)
        own = own.copy() if np.shares_memory(own, samples) else own
        own.reshape(-1)[self._places] = seen.astype(own.dtype)
        if self._far is not None:
            np.copyto(own, own.dtype.type(beyond), where=self._far)
        samples[...] = own


def give_own_colours(
    planes: Planes,
    alpha: NDArray[np.uint8],
    window: Window,
    reach: int,
    beyond: tuple[int, ...] | None = None,
    *,
    opacity: NDArray[np.uint8] | None = None,
) -> None:
    """Gives a picture its objects' own colours at their edges, in place.

    Args:
        planes: of the picture.
        alpha: uint8 of the picture's size.
        window: where to look, on the planes' grid.
        reach: how far around a pixel colours are averaged, in pixels.
        beyond: for each plane the code value where no object is near; None leaves what has no part
            of an object as it is.
        opacity: how opaque the picture is, uint8 of its size, which alpha is a share of; None where
            it is wholly so.
    """
    inside = np.s_[window[0] : window[1], window[2] : window[3]]
    part_of, opaque = alpha[inside], None if opacity is None else opacity[inside]
    sides = _Sides(part_of, reach, opaque)
    if opaque is not None:  # Colours of what is half clear are whole.
        part_of = np.asarray(cv2.divide(part_of, opaque, scale=255), np.uint8)
    # What planes of the same size need is found once.
    rims: dict[tuple[int, int], _Rim] = {}
    for place, (samples, step) in enumerate(zip(planes.samples, planes.steps, strict=True)):
        if step not in rims:
            near = 0 if beyond is None else max(1, reach // step[1])
            rims[step] = _Rim(reduce_to(part_of, step), near, sides.size)
        there = part(samples, step, window)
        rims[step].mend(there, sides.of(there), 0 if beyond is None else beyond[place])
