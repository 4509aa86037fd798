"""Layers that change what is behind the objects and leave the objects as they are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.canvas import Canvas
from stream.compositing.layer import Layer
from stream.compositing.masks import strips
from stream.compositing.mattes import Edge, Matte, on_grid, usual_feather
from stream.compositing.planes import Samples, blend, part, reduce_to
from stream.roi import Window
from stream.types import Array

_STRIP = 120 * 1024
"""Bytes of luma that are mixed at a time: what is made on the way stays in the cache."""

Background = Samples | int
"""What is behind in one plane: samples of the plane's size, or one code value for all."""


class Behind(Layer):
    """A layer that puts something else behind the objects.

    Where an object is, samples stay exactly as they were if the matte is held, else they are mixed
    at its edge.
    """

    pastes: ClassVar[bool] = False
    remembers: ClassVar[bool] = True
    held: ClassVar[bool] = True
    """Whether the fade lies around the objects, and they are exact; else on their edge."""

    def edge(self, size: tuple[int, int]) -> Edge:
        """How the fade lies at an object's edge, in a picture of a (height, width)."""
        return Edge(usual_feather(size, self.style.feather), self.held)

    @abstractmethod
    def backgrounds(self, canvas: Canvas, matte: Matte) -> Sequence[Background | None]:
        """What is behind, for each plane; None where the plane stays as it is."""

    def plan(self, canvas: Canvas) -> None:
        """Looks at the objects' edges before anything is painted on them."""
        self.matte(canvas)

    def matte(self, canvas: Canvas) -> Matte:
        """How far each pixel is an object's; to be asked for in `plan` first."""
        return canvas.matte(self.edge(canvas.size))

    def paint(self, canvas: Canvas) -> None:
        """Puts the background around the objects."""
        matte = self.matte(canvas)
        backgrounds = self.backgrounds(canvas, matte)
        if all(background is None for background in backgrounds):
            return
        if matte.window is None:
            for samples, background in zip(canvas.planes.samples, backgrounds, strict=False):
                if background is not None:
                    samples[...] = background
            return
        self._compose(canvas, matte.alpha, matte.window, backgrounds)

    def _compose(
        self,
        canvas: Canvas,
        alpha: NDArray[np.uint8],
        window: Window,
        backgrounds: Sequence[Background | None],
    ) -> None:
        planes = canvas.planes
        top, bottom, left, right = on_grid(window, canvas.size, planes.grid)
        known = [
            (samples, step, background)
            for samples, step, background in zip(
                planes.samples, planes.steps, backgrounds, strict=False
            )
            if background is not None
        ]
        for samples, step, background in known:
            clear_around(samples, step, (top, bottom, left, right), background)
        most = _STRIP // planes.samples[0].itemsize
        for start, stop in strips((bottom - top, right - left), planes.grid, most):
            rows = (top + start, top + stop, left, right)
            full = alpha[rows[0] : rows[1], left:right]
            # What several planes of the same size need is made once.
            small: dict[tuple[int, int], NDArray[np.uint8]] = {}
            for samples, step, background in known:
                if step not in small:
                    small[step] = reduced(full, step, held=self.held)
                there = part(samples, step, rows)
                behind = background if isinstance(background, int) else part(background, step, rows)
                there[...] = composed(there, behind, small[step])


def reduced(alpha: NDArray[np.uint8], step: tuple[int, int], *, held: bool) -> NDArray[np.uint8]:
    """A matte for a plane of fewer samples; where it is held, 255 if any of its pixels is 255."""
    small = reduce_to(alpha, step)
    count = step[0] * step[1]
    if held and count > 1:
        small = np.asarray(cv2.convertScaleAbs(small, alpha=count), np.uint8)
    return small


def composed(there: Samples, behind: Background, alpha: NDArray[np.uint8]) -> Samples:
    """Samples with something behind them: themselves where alpha is 255, that where it is 0.

    Args:
        there: a part of a plane.
        behind: of its size, or one code value.
        alpha: uint8 of its size.
    """
    ours: Array = np.ascontiguousarray(there)
    if isinstance(behind, int):
        out: Array = ours.copy() if ours is there else ours
        blend(out, np.asarray(cv2.bitwise_not(alpha), np.uint8), behind)
        return np.asarray(out)
    theirs: Array = np.ascontiguousarray(behind)
    strength: Array = alpha if ours.dtype == np.uint8 else alpha.astype(np.uint16)
    rest: Array = cv2.bitwise_not(alpha)
    if ours.dtype != np.uint8:
        rest = rest.astype(np.uint16)
    whole: Array = cv2.multiply(ours, strength, scale=1 / 255)
    cv2.add(whole, cv2.multiply(theirs, rest, scale=1 / 255), dst=whole)
    return whole


def clear_around(
    samples: Samples, step: tuple[int, int], window: Window, background: Background
) -> None:
    """Puts a background above, below, left and right of a window."""
    top, bottom = window[0] // step[0], -(-window[1] // step[0])
    left, right = window[2] // step[1], -(-window[3] // step[1])
    for place in (
        np.s_[:top, :],
        np.s_[bottom:, :],
        np.s_[top:bottom, :left],
        np.s_[top:bottom, right:],
    ):
        samples[place] = background if isinstance(background, int) else background[place]
