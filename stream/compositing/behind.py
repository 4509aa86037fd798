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
from stream.compositing.mattes import Edge, Matte, apart, on_grid, usual_feather
from stream.compositing.planes import Samples, window_of
from stream.compositing.squares import Scratch
from stream.kernels import Kernels, compiled
from stream.roi import Window
from stream.types import Array


class Small(NamedTuple):
    """A plane without fine detail.

    Attributes:
        samples: fewer than the plane has; those between are interpolated.
    """

    samples: Samples


_LARGER = (2, 4, 8)
"""How many times as large the compiled loops make what is small."""

Background = Samples | Small | int
"""What is behind in one plane: samples of the plane's size, fewer of them, or one code value."""


class Behind(Layer):
    """A layer that puts something else behind the objects.

    Where an object is, samples stay exactly as they were if the matte is held, else they are mixed
    at its edge.
    """

    pastes: ClassVar[int] = 0
    remembers: ClassVar[bool] = True
    held: ClassVar[bool] = True
    """Whether the fade lies around the objects, and they are exact; else on their edge."""
    thin: ClassVar[bool] = False
    """Whether no more fades than needs to, unless a width is asked for, as what is around an object
    would shine as a rim before what is behind."""

    def edge(self, size: tuple[int, int]) -> Edge:
        """How the fade lies at an object's edge, in a picture of a (height, width)."""
        return Edge(usual_feather(size, self.style.feather, thin=self.thin), self.held)

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
        planes, kernels = canvas.planes, compiled()
        # What lies between objects that are far apart is filled only; the loops see where it does.
        whole = () if matte.window is None else (matte.window,)
        parts = whole if kernels is not None and planes.narrow else matte.parts
        windows = apart(on_grid(one, canvas.size, canvas.grid) for one in parts)
        for samples, step, background in zip(
            planes.samples, planes.steps, backgrounds, strict=False
        ):
            if background is None:
                continue
            shares = [matte.reduced(one, step, held=self.held) for one in windows]
            places = [window_of(one, step) for one in windows]
            if kernels is not None and samples.dtype == np.uint8:
                _at_once(kernels, np.asarray(samples, np.uint8), places, shares, background)
            else:
                _compose(samples, places, shares, background, canvas.memory.scratch)


def _compose(
    samples: Samples,
    windows: Sequence[Window],
    shares: Sequence[NDArray[np.uint8]],
    background: Background,
    scratch: Scratch,
) -> None:
    """Puts a background into a plane, but for objects.

    Args:
        samples: the plane.
        windows: parts of it that do not touch each other, and hold all objects.
        shares: how far each sample of these is an object's.
        background: what is behind.
        scratch: gives memory.
    """
    places = [samples[top:bottom, left:right] for top, bottom, left, right in windows]
    if samples.dtype != np.uint8 or samples.strides[0] < 0:
        ours = [there.copy() for there in places]
        fill(samples, background)
        for there, mine, share in zip(places, ours, shares, strict=True):
            there[...] = composed(mine, there.copy(), share)
        return
    # Where the share is 255 a sample is exactly itself, and nothing is added to it.
    memory = scratch("own", (1, sum(share.size for share in shares))).ravel()
    own: list[Array] = []
    for there, share in zip(places, shares, strict=True):
        own.append(memory[: share.size].reshape(share.shape))
        memory = memory[share.size :]
        cv2.multiply(there, share, dst=own[-1], scale=1 / 255)
    fill(samples, background)
    for there, share, mine in zip(places, shares, own, strict=True):
        if isinstance(background, int):
            cv2.convertScaleAbs(share, dst=there, alpha=-background / 255, beta=background)
        else:
            rest = cv2.bitwise_not(share, dst=scratch("rest", share.shape))
            cv2.multiply(there, rest, dst=there, scale=1 / 255)
        cv2.add(there, mine, dst=there)


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


def _at_once(
    kernels: Kernels,
    samples: NDArray[np.uint8],
    windows: Sequence[Window],
    shares: Sequence[NDArray[np.uint8]],
    background: Background,
) -> None:
    """`_compose` by the compiled loops, of one window at most."""
    window, share = (windows[0], shares[0]) if windows else ((0, 0, 0, 0), samples[:0])
    if isinstance(background, int):
        kernels.compose(samples, background, 1, window, share)
        return
    larger = 1
    behind: Array
    if isinstance(background, Small):
        behind, many = background.samples, samples.shape
        larger = many[0] // behind.shape[0]
        if larger not in _LARGER or many != (behind.shape[0] * larger, behind.shape[1] * larger):
            larger = 1
            behind = cv2.resize(behind, many[::-1], interpolation=cv2.INTER_LINEAR)
    else:
        behind = background
    kernels.compose(samples, np.asarray(behind, np.uint8), larger, window, share)


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
