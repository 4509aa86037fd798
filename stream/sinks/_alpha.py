"""Pictures and how opaque they are, put together as encoders take them."""

from __future__ import annotations

import re

import cv2
import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from stream.pictures.pixels import plane_view
from stream.sinks._pictures import Pictures
from stream.types import Array

_PLANAR = re.compile(r"yuva(4[0-4][0-4]p(?:(?:9|10|12|16)le)?)")
_PACKED = ("rgba", "argb")

ENCODERS = ("libvpx-vp9", "libvpx", "prores_ks", "ffv1", "png", "qtrle")
"""Those that keep transparency and are tried and known to."""


def holds(pixel_format: str) -> bool:
    """Whether `Transparent` makes pictures of a format."""
    return _PLANAR.fullmatch(pixel_format) is not None or pixel_format in _PACKED


class Transparent(Pictures):
    """Takes pictures and their opacity and gives pictures of one's own that hold both."""

    def __init__(self, width: int, height: int, pixel_format: str, *, narrow: bool = False) -> None:
        """Says what is wanted.

        Args:
            width: in pixels.
            height: in pixels.
            pixel_format: FFmpeg's name of it, one that `holds` says yes to.
            narrow: as for `Pictures`.
        """
        planar = _PLANAR.fullmatch(pixel_format)
        super().__init__(width, height, f"yuv{planar[1]}" if planar else "rgb24", narrow=narrow)
        self._whole = pixel_format
        self._planar = planar is not None
        self._opacities = Pictures(width, height, "gray")

    def __call__(self, picture: VideoFrame, alpha: NDArray[np.uint8] | None = None) -> VideoFrame:
        """A picture with transparency that is nobody else's.

        Args:
            picture: of any format and size.
            alpha: uint8 of its size; None where all of it is opaque.

        Raises:
            av.FFmpegError: there is no way from this picture's format to the wanted one.
        """
        opaque = super().__call__(picture)
        if alpha is None:
            alpha = np.full((picture.height, picture.width), 255, np.uint8)
        if alpha.shape != (opaque.height, opaque.width):
            fitted = self._opacities(VideoFrame.from_ndarray(alpha, format="gray"))
            alpha = np.asarray(plane_view(fitted.planes[0]), np.uint8)
        whole = VideoFrame(opaque.width, opaque.height, self._whole)
        for tag in ("colorspace", "color_range", "color_primaries", "color_trc"):
            setattr(whole, tag, getattr(opaque, tag))
        if self._planar:
            depth = VideoFormat(self._whole).components[0].bits
            for plane, source in zip(whole.planes, opaque.planes, strict=False):
                plane_view(plane, depth)[...] = plane_view(source, depth)
            plane_view(whole.planes[3], depth)[...] = _widened(alpha, depth)
            return whole
        channels = list(cv2.split(plane_view(opaque.planes[0], channels=3)))
        channels.insert(0 if self._whole == "argb" else 3, alpha)
        plane_view(whole.planes[0], channels=4)[...] = cv2.merge(channels)
        return whole


def _widened(alpha: NDArray[np.uint8], depth: int) -> Array:
    """Opacity in more bits: 255 becomes the highest value, and 0 stays."""
    if depth == 8:
        return alpha
    table: Array = np.rint(np.arange(256) * (((1 << depth) - 1) / 255)).astype(np.uint16)
    return np.asarray(table[alpha])
