"""Dense motion between small grey pictures."""

from __future__ import annotations

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from stream.pictures.pixels import plane_view

Grey = NDArray[np.uint8]
Flow = NDArray[np.float32]

_LONGEST = 320
"""Pixels of a small picture's longer side. At 320x240 the flow takes two milliseconds of one core;
at half of that, hands and heads blur into what is behind them."""


def small_grey(picture: av.VideoFrame, longest: int = _LONGEST) -> Grey:
    """A small grey picture, straight from the luma plane.

    It is smaller than the picture by a whole factor, the same in both directions, so that the
    averaging is exact and fast; up to factor - 1 rows or columns at the far edges are left out.

    Args:
        picture: planar YUV or grey of 8 to 16 bits, any size.
        longest: about how many pixels the longer side shall have.

    Returns:
        uint8 [h, w], at least 16 pixels each way (where the picture is smaller, it is enlarged);
        its own, as the picture may be painted while it is still compared with others.
    """
    factor = max(1, round(max(picture.width, picture.height) / longest))
    luma = plane_view(picture.planes[0], picture.format.components[0].bits)
    # A side that is shorter than the factor is one pixel.
    height, width = max(1, picture.height // factor), max(1, picture.width // factor)
    cut = luma[: height * factor, : width * factor]
    if factor > 1:
        cut = cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA)
    if min(width, height) < 16:
        cut = cv2.resize(cut, (max(16, width), max(16, height)), interpolation=cv2.INTER_LINEAR)
    if cut.dtype == np.uint16:
        shift = picture.format.components[0].bits - 8
        cut = (cut >> shift).astype(np.uint8)
    # Nothing above may have made it another picture.
    return np.array(cut, np.uint8, order="C")


class FlowMeter:
    """Measures motion by dense inverse search (Kroeger et al., ECCV 2016). One thread at a time."""

    def __init__(self) -> None:
        self._fine = True
        self._dis: cv2.DISOpticalFlow | None = None
        self._size: tuple[int, ...] = ()

    @property
    def fine(self) -> bool:
        """Whether the fine scale is looked at; without it the flow costs a third."""
        return self._fine

    @fine.setter
    def fine(self, fine: bool) -> None:
        if fine != self._fine:
            self._fine, self._dis = fine, None

    def _for(self, size: tuple[int, ...]) -> cv2.DISOpticalFlow:
        # OpenCV's keeps buffers of the size that it saw first, and writes past them where a guess
        # of another size comes.
        if self._dis is None or size != self._size:
            # The quickest of OpenCV's settings, but one scale finer than it stops at: fast limbs
            # need the fine scale, and the costlier settings gain nothing beside it.
            self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
            self._dis.setFinestScale(1 if self._fine else 2)
            self._size = size
        return self._dis

    def between(self, before: Grey, after: Grey, guess: Flow | None = None) -> Flow:
        """Where each pixel of `before` is in `after`.

        Args:
            before: uint8 [h, w].
            after: uint8 of the same size.
            guess: a first estimate, float32 [h, w, 2]; it is not changed.

        Returns:
            float32 [h, w, 2], to be added to x and y, in pixels.
        """
        dis = self._for(before.shape)
        if guess is None:
            found = dis.calc(before, after, None)  # type: ignore[call-overload]  # may be None
        else:
            found = dis.calc(before, after, guess.copy())
        return np.asarray(found, np.float32)
