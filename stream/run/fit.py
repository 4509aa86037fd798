"""Bringing frames that change on the way to what a file was told, which cannot."""

from __future__ import annotations

from dataclasses import replace

import av
import numpy as np
from numpy.typing import NDArray

from stream.frame import Frame, VideoInfo
from stream.pictures.colour_tags import ColourTags
from stream.pictures.letterbox import Letterbox
from stream.pictures.meaning import Meaning
from stream.pictures.pixels import plane_view


class Fit:
    """Brings pictures of any size to one, with black bars where the shapes differ.

    Args:
        width: wanted, in pixels.
        height: wanted, in pixels.
        pixel_format: wanted.
        colour: how sample values are to mean colours; None where they are not colours, and each
            is to stay as it is.

    Attributes:
        fitted: how many pictures were of another size.
    """

    def __init__(
        self, width: int, height: int, pixel_format: str, colour: ColourTags | None = None
    ) -> None:
        self.fitted = 0
        self._wanted = (width, height, pixel_format)
        self._meaning = None if colour is None else Meaning(pixel_format, colour)
        self._letterbox = Letterbox(width, height, pixel_format, mixes=colour is not None)
        self._opacities: Fit | None = None

    @classmethod
    def to(cls, info: VideoInfo) -> Fit:
        """Brings pictures to what a video was announced to be."""
        colour = None if info.exact else info.colour
        return cls(info.width, info.height, info.pixel_format, colour)

    def __call__(self, picture: av.VideoFrame) -> av.VideoFrame:
        """The picture itself where it fits already, else a new one."""
        if self._meaning is not None:
            picture = self._meaning(picture)
        kind = (picture.width, picture.height, picture.format.name)
        if kind == self._wanted:
            return picture
        self.fitted += kind[:2] != self._wanted[:2]
        return self._letterbox(picture)

    def alpha(self, alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The same for how opaque a picture's pixels are, uint8 [H, W]; bars are transparent."""
        if self._opacities is None:
            self._opacities = Fit(*self._wanted[:2], "gray", ColourTags())
        fitted = self._opacities(av.VideoFrame.from_ndarray(alpha, format="gray"))
        return np.array(plane_view(fitted.planes[0]), np.uint8)


def info_of(frame: Frame, info: VideoInfo) -> VideoInfo:
    """What an output that begins with this frame is to know: its size, not the first one's."""
    picture = frame.image
    kind = (picture.width, picture.height, picture.format.name)
    if kind == (info.width, info.height, info.pixel_format):
        return info
    return replace(info, width=kind[0], height=kind[1], pixel_format=kind[2])
