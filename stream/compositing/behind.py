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
from stream.compositing.planes import Samples, part, reduce_to
from stream.roi import Window
from stream.types import Array

_FEW = 1 / 12
"""Of samples that are partly an object's, a share up to which they are mixed one by one."""


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
        self._compose(canvas, matte.alpha, matte.window, backgrounds)

    def _compose(
        self,
        canvas: Canvas,
        alpha: NDArray[np.uint8],
        window: Window,
        backgrounds: Sequence[Background | None],
    ) -> None:
        planes = canvas.planes
        rows = on_grid(window, canvas.size, planes.grid)
        full = alpha[rows[0] : rows[1], rows[2] : rows[3]]
        # What several planes of the same size need is made once.
        shares: dict[tuple[int, int], Shares] = {}
        for samples, step, background in zip(
            planes.samples, planes.steps, backgrounds, strict=False
        ):
            if background is None:
                continue
            if step not in shares:
                shares[step] = Shares(reduced(full, step, held=self.held))
            there = part(samples, step, rows)
            ours = there.copy()
            fill(samples, background)
            shares[step].give_back(there, ours)


def reduced(alpha: NDArray[np.uint8], step: tuple[int, int], *, held: bool) -> NDArray[np.uint8]:
    """A matte for a plane of fewer samples; where it is held, 255 if any of its pixels is 255."""
    small = reduce_to(alpha, step)
    count = step[0] * step[1]
    if held and count > 1:
        small = np.asarray(cv2.convertScaleAbs(small, alpha=count), np.uint8)
    return small


class Shares:
    """Which samples of a window are an object's, and which are partly, mostly few along its edge.

    Args:
        alpha: uint8 [H, W], 255 where a sample is an object's, 0 where it is not.
    """

    def __init__(self, alpha: NDArray[np.uint8]) -> None:
        self._alpha = alpha
        # Below one it wraps around: one comparison for both ends.
        mixed = np.subtract(alpha, np.uint8(1)) < np.uint8(254)
        self._few = np.count_nonzero(mixed) < _FEW * mixed.size
        if self._few:
            _, self._whole = cv2.threshold(alpha, 254, 255, cv2.THRESH_BINARY)
            self._places = np.flatnonzero(mixed)
            self._share = np.ascontiguousarray(alpha).ravel().take(self._places)

    def give_back(self, there: Samples, ours: Samples) -> None:
        """Puts objects back where something else was put.

        Args:
            there: a part of a plane, with what is behind; is written to.
            ours: of its size, contiguous: the part as it was. It stays so where alpha is 255.
        """
        if not self._few:
            behind: Array = np.ascontiguousarray(there)
            there[...] = composed(ours, behind, self._alpha)
            return
        # OpenCV cannot write to a picture that lies upside down in memory.
        whole: Array = np.ascontiguousarray(there)
        mixed = whole.ravel().take(self._places)
        cv2.copyTo(ours, self._whole, whole)
        if len(self._places):
            own = ours.ravel().take(self._places)
            whole.reshape(-1)[self._places] = composed(own, mixed, self._share)
        if whole is not there:
            there[...] = whole


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
