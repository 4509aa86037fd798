"""Bringing frames that change their size to that of a file which cannot."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import av.filter
import numpy as np
from numpy.typing import NDArray

from stream.errors import SinkError
from stream.frame import Frame, VideoInfo
from stream.pixels import plane_view


class Fit:
    """Brings pictures of any size to one, with black bars where the shapes differ.

    Args:
        width: wanted, in pixels.
        height: wanted, in pixels.
        pixel_format: wanted.
    """

    def __init__(self, width: int, height: int, pixel_format: str) -> None:
        self._wanted = (width, height, pixel_format)
        self._graph: av.filter.Graph | None = None
        self._graph_for: tuple[int, int, str] | None = None
        self._opacities: Fit | None = None

    @classmethod
    def to(cls, info: VideoInfo) -> Fit:
        """Brings pictures to what a video was announced to be."""
        return cls(info.width, info.height, info.pixel_format)

    def __call__(self, picture: av.VideoFrame) -> av.VideoFrame:
        """The picture itself where it fits already, else a new one."""
        kind = (picture.width, picture.height, picture.format.name)
        if kind == self._wanted:
            return picture
        if self._graph is None or kind != self._graph_for:
            self._graph, self._graph_for = self._build(picture), kind
        self._graph.push(picture)
        fitted = self._graph.pull()
        if not isinstance(fitted, av.VideoFrame):
            raise SinkError("a picture of another size could not be brought to the recording's")
        return fitted

    def alpha(self, alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The same for how opaque a picture's pixels are, uint8 [H, W]; bars are transparent."""
        if self._opacities is None:
            self._opacities = Fit(*self._wanted[:2], "gray")
        fitted = self._opacities(av.VideoFrame.from_ndarray(alpha, format="gray"))
        return np.array(plane_view(fitted.planes[0]), np.uint8)

    def _build(self, picture: av.VideoFrame) -> av.filter.Graph:
        width, height, pixel_format = self._wanted
        graph = av.filter.Graph()
        steps = [
            graph.add_buffer(
                width=picture.width,
                height=picture.height,
                format=picture.format,
                time_base=picture.time_base or Fraction(1, 90_000),
            ),
            graph.add("scale", f"{width}:{height}:force_original_aspect_ratio=decrease"),
            graph.add("pad", f"{width}:{height}:(ow-iw)/2:(oh-ih)/2"),
            graph.add("format", pixel_format),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*steps).configure()
        return graph


def info_of(frame: Frame, info: VideoInfo) -> VideoInfo:
    """What an output that begins with this frame is to know: its size, not the first one's."""
    picture = frame.image
    kind = (picture.width, picture.height, picture.format.name)
    if kind == (info.width, info.height, info.pixel_format):
        return info
    return replace(info, width=kind[0], height=kind[1], pixel_format=kind[2])
