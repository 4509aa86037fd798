"""Pictures of any size brought to one, with black bars where the shapes differ."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import av
from av.filter import Graph
from av.video.reformatter import ColorRange

from stream.errors import SinkError
from stream.pictures.scaler import Scaler

_ANY_CLOCK = Fraction(1, av.time_base)

_Kind = tuple[int, int, str, Fraction]


class Place(NamedTuple):
    """Where a picture lies in one that it was fitted to, in pixels."""

    left: int
    top: int
    width: int
    height: int


def placed(picture: tuple[int, int], into: tuple[int, int]) -> Place:
    """Where `Letterbox` puts a picture of a size.

    Args:
        picture: its width and height.
        into: width and height of the one that it is fitted to.
    """
    (width, height), (most_wide, most_high) = picture, into
    wide = min(most_wide, int(Fraction(most_high * width, height) + Fraction(1, 2)))
    high = min(most_high, int(Fraction(most_wide * height, width) + Fraction(1, 2)))
    return Place((most_wide - wide) // 4 * 2, (most_high - high) // 4 * 2, wide, high)


class Letterbox:
    """Brings pictures to a size: whole, as large as they can be unstretched, in the middle.

    One thread at a time. Times are left as they are, and what sample values mean.

    Args:
        width: wanted, in pixels.
        height: wanted, in pixels.
        pixel_format: FFmpeg's name of the wanted one; None keeps each picture's.
        mixes: whether samples may be mixed, as colours may; numbers of objects may not.
    """

    def __init__(
        self, width: int, height: int, pixel_format: str | None = None, *, mixes: bool = True
    ) -> None:
        self._size = (width, height)
        self._format = pixel_format
        self._how = "" if mixes else ":flags=neighbor"
        self._scale = Scaler()
        self._graph: tuple[_Kind, Graph] | None = None

    def __call__(self, picture: av.VideoFrame) -> av.VideoFrame:
        """A new picture of the wanted size.

        Raises:
            SinkError: the filter gave none.
            av.FFmpegError: there is no way from this picture's format to the wanted one.
        """
        clock = picture.time_base or _ANY_CLOCK
        kind = (picture.width, picture.height, picture.format.name, clock)
        if self._graph is None or self._graph[0] != kind:
            self._graph = kind, self._build(picture, clock)
        graph = self._graph[1]
        graph.push(picture)
        boxed = graph.pull()
        if not isinstance(boxed, av.VideoFrame):
            raise SinkError("a picture of another size could not be brought to the recording's")
        if picture.color_range == ColorRange.JPEG != boxed.color_range:
            # FFmpeg's filters brought it to the values of film, without saying so.
            boxed = self._scale(
                boxed, src_color_range=ColorRange.MPEG, dst_color_range=ColorRange.JPEG
            )
            boxed.color_range = int(ColorRange.JPEG)
        boxed.colorspace = picture.colorspace
        return boxed

    def _build(self, picture: av.VideoFrame, clock: Fraction) -> Graph:
        width, height = self._size
        graph = Graph()
        graph.threads = 1
        steps = [
            graph.add_buffer(
                width=picture.width, height=picture.height, format=picture.format, time_base=clock
            ),
            graph.add("scale", f"{width}:{height}:force_original_aspect_ratio=decrease{self._how}"),
            # At even places, so that the bars end with whole samples of chroma.
            graph.add("pad", f"{width}:{height}:trunc((ow-iw)/4)*2:trunc((oh-ih)/4)*2"),
        ]
        if self._format is not None:
            steps.append(graph.add("format", self._format))
        graph.link_nodes(*steps, graph.add("buffersink")).configure()
        return graph
