"""A picture of a file as it came from the decoder."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture as it came from the decoder.

    Attributes:
        picture: the picture.
        seconds: that reading and decoding it took.
        stored: its time in ticks of its stream, where the file says.
        aspect: width over height of its samples, as the decoder says; None where it does not.
    """

    picture: av.VideoFrame
    seconds: float
    stored: int | None
    aspect: Fraction | None
