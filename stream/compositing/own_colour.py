"""The objects' own colours at their edges, where a pixel is a mixture with what is behind."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.mattes import on_grid
from stream.compositing.planes import Planes, Samples, part, reduce_to
from stream.roi import Window
from stream.types import Array

_REACH = 80
"""A picture's shorter side over how far around a pixel colours are looked for."""
_FINE = 3
"""Over how many points of the small picture they are averaged."""
_TINY = np.float32(1e-9)

_SHARE = (np.arange(256) / 255).astype(np.float32)


def reach_of(size: tuple[int, int], feather: float) -> int:
    """How far around a pixel its object's colour is looked for, in pixels.

    Args:
        size: the picture's height and width.
        feather: over how many pixels the matte falls off.
    """
    return max(2, min(size) // _REACH, int(np.ceil(feather)))


def grown(window: Window, size: tuple[int, int], grid: tuple[int, int], by: int) -> Window:
    """A window with so many pixels around it, within a picture of a (height, width), on a grid."""
    top, bottom, left, right = window
    wide = (
        max(0, top - by),
        min(size[0], bottom + by),
        max(0, left - by),
        min(size[1], right + by),
    )
    return on_grid(wide, size, grid)


class OwnColour:
    """Gives planes of one size their objects' colours at the edges.

    What is wholly the objects' stays exactly. Colours of both sides are averages around a pixel, in
    which those that surely belong to a side count by far the most; what the mixture of both leaves
    unexplained is given to the object (after M. Forte, "Approximate Fast Foreground Colour
    Estimation", ICIP 2021). Averages are smooth, so they are taken in a small picture.

    Args:
        alpha: uint8 [H, W] of the planes' part.
        reach: how far around a pixel colours are averaged, in the planes' samples.
        around: whether the colour of an object that is near is put around it too, for encoders
            that mix neighbours; else what has no part of an object stays as it is.
    """

    def __init__(self, alpha: NDArray[np.uint8], reach: int, *, around: bool) -> None:
        height, width = alpha.shape
        mixed: Array = (alpha > 0) & (alpha < 255)
        self._far: Array | None = None
        if around:
            side = 2 * reach + 1
            near: Array = np.asarray(cv2.dilate(alpha, np.ones((side, side), np.uint8)))
            self._far = near == 0
            mixed = (near > 0) & (alpha < 255)
        self._places = np.flatnonzero(mixed)
        self._share: Array = _SHARE[alpha.ravel()[self._places]]
        shrink = max(1, reach // _FINE)
        self._small = (-(-width // shrink), -(-height // shrink))
        self._side = 2 * -(-reach // shrink) + 1
        rows, columns = np.divmod(self._places, width)
        across, down = self._small[0] / width, self._small[1] / height
        # Where the middles of the pixels lie in the small picture.
        self._x = ((columns + 0.5) * across - 0.5).astype(np.float32)
        self._y = ((rows + 0.5) * down - 0.5).astype(np.float32)
        # Those that surely belong to a side count by far the most.
        there: Array = self._shrunk(alpha) * np.float32(1 / 255)
        self._weights = [there**4, (1 - there) ** 4]
        self._totals = [np.maximum(self._around(one), _TINY) for one in self._weights]

    def _shrunk(self, plane: Array) -> Array:
        return np.asarray(cv2.resize(plane, self._small, interpolation=cv2.INTER_AREA), np.float32)

    def _around(self, small: Array) -> Array:
        return np.asarray(cv2.blur(small, (self._side, self._side)), np.float32)

    def _at(self, small: Array) -> Array:
        # OpenCV takes maps of 32767 columns at most.
        many, step = len(self._places), 1 << 14
        rows = -(-many // step)
        x, y = (np.resize(one, rows * step).reshape(rows, step) for one in (self._x, self._y))
        found = cv2.remap(small, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(found.ravel()[:many], np.float32)

    def __call__(self, samples: Samples, beyond: int = 0) -> None:
        """Changes a part of a plane.

        Args:
            samples: of the size of alpha.
            beyond: the code value where no object is near.
        """
        if not len(self._places):
            return
        own: Array = np.ascontiguousarray(samples)
        seen = own.ravel()[self._places].astype(np.float32)
        small = self._shrunk(own)
        front, behind = (
            self._at(self._around(small * weight) / total)
            for weight, total in zip(self._weights, self._totals, strict=True)
        )
        share = self._share
        front += share * (seen - share * front - (1 - share) * behind)
        np.rint(np.clip(front, 0, np.iinfo(own.dtype).max, out=front), out=front)
        found = front.astype(own.dtype)
        own = own.copy() if np.shares_memory(own, samples) else own
        own.reshape(-1)[self._places] = found
        if self._far is not None:
            np.copyto(own, own.dtype.type(beyond), where=self._far)
        samples[...] = own


def give_own_colours(
    planes: Planes,
    alpha: NDArray[np.uint8],
    window: Window,
    reach: int,
    beyond: tuple[int, ...] | None = None,
) -> None:
    """Gives a picture its objects' own colours at their edges, in place.

    Args:
        planes: of the picture.
        alpha: uint8 of the picture's size.
        window: where to look, on the planes' grid.
        reach: how far around a pixel colours are averaged, in pixels.
        beyond: for each plane the code value where no object is near; None leaves what has no part
            of an object as it is.
    """
    part_of = alpha[window[0] : window[1], window[2] : window[3]]
    # What planes of the same size need is found once.
    known: dict[tuple[int, int], OwnColour] = {}
    for place, (samples, step) in enumerate(zip(planes.samples, planes.steps, strict=True)):
        if step not in known:
            small = reduce_to(part_of, step)
            known[step] = OwnColour(small, max(1, reach // step[1]), around=beyond is not None)
        known[step](part(samples, step, window), 0 if beyond is None else beyond[place])
