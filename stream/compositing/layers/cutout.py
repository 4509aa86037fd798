"""Objects alone, with transparency."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from stream.compositing.canvas import Canvas
from stream.compositing.layer import Layer
from stream.compositing.mattes import Edge, usual_feather
from stream.compositing.own_colour import give_own_colours, grown, reach_of
from stream.compositing.planes import Samples
from stream.roi import Window


class Cutout(Layer):
    """Leaves the objects, and makes all else transparent.

    Alpha is straight: colours are not multiplied by it. A pixel on an object's edge has a mixture
    of its colour and of what is behind, which would stand around it as a rim on any other
    background; there the object's own colour is estimated. Nothing of what is behind stays in the
    picture: far from the objects it is black.
    """

    pastes: ClassVar[int] = 0
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
        opacity, canvas.alpha = canvas.alpha, matte.alpha.copy()
        planes, encoding = canvas.planes, canvas.encoding
        nothing = (encoding.black, encoding.neutral, encoding.neutral)
        if matte.window is None:
            for samples, code in zip(planes.samples, nothing, strict=False):
                samples.fill(code)
            return
        reach = reach_of(canvas.size, edge.feather)
        window = grown(matte.window, canvas.size, planes.grid, 2 * reach)
        give_own_colours(planes, canvas.alpha, window, reach, nothing, opacity=opacity)
        for samples, step, code in zip(planes.samples, planes.steps, nothing, strict=False):
            _clear_around(samples, step, window, code)


def _clear_around(samples: Samples, step: tuple[int, int], window: Window, code: int) -> None:
    """Puts a code value above, below, left and right of a window."""
    top, bottom = window[0] // step[0], -(-window[1] // step[0])
    left, right = window[2] // step[1], -(-window[3] // step[1])
    for place in (
        np.s_[:top, :],
        np.s_[bottom:, :],
        np.s_[top:bottom, :left],
        np.s_[top:bottom, right:],
    ):
        samples[place] = code
