"""Objects alone, with transparency."""

from __future__ import annotations

import math
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.canvas import Canvas
from stream.compositing.layer import Layer
from stream.compositing.mattes import Edge, on_grid, usual_feather
from stream.compositing.planes import Samples, part, reduce_to
from stream.roi import Window
from stream.types import Array

_REACH = 80
"""A picture's shorter side over how far around a pixel its object's colour is looked for."""
_LEAST, _TINY = np.float32(1e-3), np.float32(1e-9)


class Cutout(Layer):
    """Leaves the objects, and makes all else transparent.

    Alpha is straight: colours are not multiplied by it. A pixel on an object's edge has a mixture
    of its colour and of what is behind, which would stand around it as a rim on any other
    background; there the object's own colour is estimated. Nothing of what is behind stays in the
    picture: far from the objects it is black.
    """

    pastes: ClassVar[bool] = False
    remembers: ClassVar[bool] = True
    alpha: ClassVar[bool] = True
    alone: ClassVar[bool] = True

    def plan(self, canvas: Canvas) -> None:
        """Looks at the objects' edges before anything is painted on them."""
        canvas.matte(self._edge(canvas))

    def _edge(self, canvas: Canvas) -> Edge:
        return Edge(usual_feather(canvas.size, self.style.feather), held=False)

    def paint(self, canvas: Canvas) -> None:
        """Says how opaque each pixel is, and takes out of the planes what is not the objects'."""
        edge = self._edge(canvas)
        matte = canvas.matte(edge)
        canvas.alpha = matte.alpha.copy()
        planes, encoding = canvas.planes, canvas.encoding
        nothing = (encoding.black, encoding.neutral, encoding.neutral)
        if matte.window is None:
            for samples, code in zip(planes.samples, nothing, strict=False):
                samples.fill(code)
            return
        reach = max(2, min(canvas.size) // _REACH, math.ceil(edge.feather))
        window = _grown(matte.window, canvas.size, planes.grid, 2 * reach)
        alpha = canvas.alpha[window[0] : window[1], window[2] : window[3]]
        for samples, step, code in zip(planes.samples, planes.steps, nothing, strict=False):
            there: Array = part(samples, step, window)
            own = _own_colour(there, reduce_to(alpha, step), max(1, reach // step[1]), code)
            samples.fill(code)
            there[...] = own


def _grown(window: Window, size: tuple[int, int], grid: tuple[int, int], by: int) -> Window:
    top, bottom, left, right = window
    grown = (
        max(0, top - by),
        min(size[0], bottom + by),
        max(0, left - by),
        min(size[1], right + by),
    )
    return on_grid(grown, size, grid)


def _own_colour(samples: Samples, alpha: NDArray[np.uint8], reach: int, nothing: int) -> Samples:
    """A part of a plane as the objects alone would have it.

    What is wholly the objects' stays exactly. Colours of both sides are averages around a pixel, in
    which those that surely belong to a side count by far the most; what the mixture of both leaves
    unexplained is given to the object (after M. Forte, "Approximate Fast Foreground Colour
    Estimation", ICIP 2021).

    Args:
        samples: the part of the plane; not changed.
        alpha: uint8 of its size.
        reach: how far around a pixel colours are averaged.
        nothing: the code value beyond.

    Returns:
        New samples of the same size.
    """
    seen = np.ascontiguousarray(samples).astype(np.float32)
    share = alpha.astype(np.float32) * np.float32(1 / 255)
    side = (2 * reach + 1, 2 * reach + 1)
    near = cv2.blur(share, side)
    front, behind = (
        cv2.blur(seen * weight, side) / np.maximum(cv2.blur(weight, side), _TINY)
        for weight in ((share * share) ** 2, ((1 - share) * (1 - share)) ** 2)
    )
    front += share * (seen - share * front - (1 - share) * behind)
    top = np.iinfo(samples.dtype).max
    own: Array = np.clip(np.rint(front), 0, top).astype(samples.dtype)
    own[near < _LEAST] = nothing
    np.copyto(own, samples, where=alpha == 255)
    return own
