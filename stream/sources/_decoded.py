"""A picture of a file as it came from the decoder."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture as it came from the decoder.

    Attributes:
        picture: the picture.
        seconds: that reading and decoding it took.
        stored: its time in ticks of its stream, where the file says.
        aspect: width over height of its samples, as the decoder says; None where it does not.
        opacity: how opaque its pixels are where a track of its own says so, uint8 [H, W].
    """

    picture: av.VideoFrame
    seconds: float
    stored: int | None
    aspect: Fraction | None
    opacity: NDArray[np.uint8] | None = None

    @property
    def clear(self) -> tuple[av.VideoFrame, Fraction | None, NDArray[np.uint8] | None]:
        """What tells where it is clear: the picture, its aspect and opacity of its own."""
        return self.picture, self.aspect, self.opacity
