"""Layers that change what is behind the objects and leave the objects as they are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.canvas import Canvas
from stream.compositing.layer import Layer
from stream.compositing.mattes import Edge, Matte, on_grid, usual_feather
from stream.compositing.planes import Samples, blend_around, part
from stream.roi import Window
from stream.types import Array


class Small(NamedTuple):
    """A plane without fine detail.

    Attributes:
        samples: fewer than the plane has; those between are interpolated.
    """

    samples: Samples


Background = Samples | Small | int
"""What is behind in one plane: samples of the plane's size, fewer of them, or one code value."""


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
                    fill(samples, background)
            return
        self._compose(canvas, matte, on_grid(matte.window, canvas.size, canvas.grid), backgrounds)

    def _compose(
        self,
        canvas: Canvas,
        matte: Matte,
        window: Window,
        backgrounds: Sequence[Background | None],
    ) -> None:
        planes, scratch = canvas.planes, canvas.memory.scratch
        for samples, step, background in zip(
            planes.samples, planes.steps, backgrounds, strict=False
        ):
            if background is None:
                continue
            share = matte.reduced(window, step, held=self.held)
            there = part(samples, step, window)
            if isinstance(background, int):
                clear_around(samples, step, window, background)
                blend_around(there, share, background, scratch("added", share.shape))
            elif samples.dtype == np.uint8 and samples.strides[0] > 0:
                # Where the share is 255 a sample is exactly itself, and nothing is added to it.
                own = scratch("own", share.shape)
                cv2.multiply(there, share, dst=own, scale=1 / 255)
                rest = cv2.bitwise_not(share, dst=scratch("rest", share.shape))
                fill(samples, background)
                cv2.multiply(there, rest, dst=there, scale=1 / 255)
                cv2.add(there, own, dst=there)
            else:
                ours = there.copy()
                fill(samples, background)
                there[...] = composed(ours, there.copy(), share)


def fill(samples: Samples, background: Background) -> None:
    """Puts a background into a whole plane, in place."""
    if isinstance(background, Small):
        shape = samples.shape[::-1]
        if samples.strides[0] > 0:
            cv2.resize(background.samples, shape, dst=samples, interpolation=cv2.INTER_LINEAR)
        else:
            large = cv2.resize(background.samples, shape, interpolation=cv2.INTER_LINEAR)
            samples[...] = large
    else:
        samples[...] = background


def composed(ours: Samples, theirs: Samples, alpha: NDArray[np.uint8]) -> Samples:
    """Samples with others behind them: themselves where alpha is 255, those where it is 0.

    Args:
        ours: uint8 or uint16.
        theirs: of their kind and shape.
        alpha: uint8 of their shape.
    """
    strength: Array = alpha if ours.dtype == np.uint8 else alpha.astype(np.uint16)
    rest: Array = np.subtract(255, strength, dtype=strength.dtype)
    # OpenCV takes a row of fewer than four numbers for one value.
    mine, others, strength, rest = (np.atleast_2d(one) for one in (ours, theirs, strength, rest))
    whole: Array = cv2.multiply(mine, strength, scale=1 / 255)
    cv2.add(whole, cv2.multiply(others, rest, scale=1 / 255), dst=whole)
    return whole.reshape(ours.shape)


def clear_around(
    samples: Samples, step: tuple[int, int], window: Window, background: Samples | int
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
