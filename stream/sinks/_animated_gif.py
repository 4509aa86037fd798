"""Animated GIF, written picture by picture; the file is whole after each."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import cast

import cv2
import numpy as np
from av.codec.context import CodecContext
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.codeccontext import VideoCodecContext
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from stream.sinks._animations import Animation, Part
from stream.sinks._destination import Destination
from stream.types import Array
from stream.wording.words import counted

_TICK = Fraction(1, 100)
_LEAST, _MOST = 2, (1 << 16) - 1
"""Ticks that a picture is shown: browsers take one of them, or none, for ten."""
_FOREVER = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
_END = b"\x3b"
_HEADER, _CONTROL, _PLACE = 13, 8, 10
"""Bytes of a file's header, of what says how long a picture is shown, and of where it lies."""
_COLOURS, _TABLE = 7, 3 * 256
"""How a table of 256 colours is announced, and its bytes."""
_OWN_COLOURS = 0x80 | _COLOURS
_CLEARED = 2 << 2
_HALF = 128
_UNSEEN = 2
"""Levels that colours may be off without patterns of them, as FFmpeg weighs them."""
_CELL, _SHARE, _WORSE = 8, 0.995, 5.0
"""A cell's side; colours are chosen anew where the cell that so many are better than, of all, is
so many levels worse than at first."""


class AnimatedGif(Animation):
    """GIF (version 89a): 256 colours at once, times in hundredths of a second, no soft edges.

    Colours are chosen from a picture and kept until they no longer suit, so that what stands still
    stays the same and takes no room; a fixed pattern stands for colours between them. Pictures that
    come faster than fifty a second are left out where they must be, as no browser shows more.

    Args:
        file: written to, from its beginning.
        size: height and width in pixels.
        alpha: whether pictures have an opacity; from half of it on a pixel is there.
        exact: whether no colour may become another, where there are few.
    """

    tick = Fraction(1, 1000)

    def __init__(
        self, file: Destination, size: tuple[int, int], *, alpha: bool, exact: bool
    ) -> None:
        self._exact = exact
        self.left_out = 0
        """Pictures that came too soon behind one another."""
        super().__init__(file, size, alpha=alpha)

    def _begin(self) -> None:
        self._encoder: VideoCodecContext | None = None
        self._colours: _Colours | None = None
        self._at_first = 0.0
        self._table = b""
        self._shown_at, self._ticks = 0, 0

    def encoded(self, pixels: NDArray[np.uint8], *, first: bool) -> Part:
        """The picture itself: its colours and what changed depend on those before."""
        return Part(0, 0, *self._size, self._encode(pixels))

    def _encode(self, part: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return part

    def _put(self, part: Part, seconds: Fraction) -> Fraction:
        ticks = round(seconds / _TICK)
        if ticks < _LEAST and self._count > self.left_out and not self._last:
            self.left_out += 1
            return Fraction(0)
        ticks = min(_MOST, max(_LEAST, ticks))
        picture = self._reduced(part.data)
        if self._alpha or self._encoder is None:
            # One that knows of no picture before writes a whole one.
            self._encoder = _encoder(self._size)
        picture.pts, picture.time_base = self._count, _TICK
        self._write(b"".join(bytes(packet) for packet in self._encoder.encode(picture)), ticks)
        return ticks * _TICK

    def _write(self, data: bytes, ticks: int) -> None:
        if not data:
            # Nothing changed: the picture before is shown for longer.
            self._ticks = min(_MOST, self._ticks + ticks)
            self._overwrite(self._shown_at, struct.pack("<H", self._ticks))
            return
        begun, head = bool(self._file.tell()), b""
        if data.startswith(b"GIF"):
            end = _HEADER + _TABLE
            if not begun:
                head = data[:end] + _FOREVER
            else:
                # The file's own colours are those of its first encoder.
                self._table = data[_HEADER:end]
            data = data[end:]
        control, place = bytearray(data[:_CONTROL]), bytearray(data[_CONTROL : _CONTROL + _PLACE])
        struct.pack_into("<H", control, 4, ticks)
        if self._alpha:
            control[3] = control[3] & 1 | _CLEARED
        if self._table:
            place[-1] |= _OWN_COLOURS
        rest = data[_CONTROL + _PLACE :]
        picture = b"".join((head, control, place, self._table, rest, _END))
        begin = self._replace_end(len(_END) if begun else 0, picture)
        self._shown_at, self._ticks = begin + len(head) + 4, ticks

    @property
    def remarks(self) -> list[str]:
        """What was not kept of the pictures, but for sound."""
        said = []
        if not self._exact:
            said.append("a .gif has 256 colours at once; .webp and .apng have all")
        if self._alpha:
            said.append("edges are hard, as a .gif has no half transparency; .webp and .apng do")
        if self.left_out:
            said.append(
                f"{counted(self.left_out, 'picture is', 'pictures are')} left out, as a .gif shows "
                "at most 50 a second; what is left keeps its time"
            )
        return said

    def _reduced(self, pixels: NDArray[np.uint8]) -> VideoFrame:
        """A picture whose pixels are numbers of colours."""
        whole = pixels if self._alpha else _opaque(pixels)
        picture = VideoFrame.from_ndarray(whole, format="bgra")
        if self._colours is not None:
            reduced = self._colours(picture)
            most = self._at_first if self._exact else self._at_first + _WORSE
            if self._error(whole, reduced) <= most:
                return reduced
        self._encoder = None
        chosen = _chosen(picture)
        self._colours = _Colours(picture, chosen, patterned=False)
        reduced = self._colours(picture)
        # Patterns would be seen where every colour is there, as in drawings and on screens.
        off = cv2.absdiff(*self._both(whole, reduced)).max()
        if not self._exact and off > _UNSEEN:
            self._colours = _Colours(picture, chosen, patterned=True)
            reduced = self._colours(picture)
        self._at_first = self._error(whole, reduced)
        return reduced

    def _both(self, pixels: NDArray[np.uint8], reduced: VideoFrame) -> tuple[Array, Array]:
        """What of a picture is seen, and what it has become, uint8 [H, W, 3] each."""
        numbers, colours = reduced.to_ndarray()
        known: NDArray[np.uint8] = np.take(colours[:, :0:-1], numbers, axis=0)
        seen = pixels[..., :3]
        if self._alpha:
            known[pixels[..., 3] < _HALF] = 0
            seen = seen.copy()
            seen[pixels[..., 3] < _HALF] = 0
        return seen, known

    def _error(self, pixels: NDArray[np.uint8], reduced: VideoFrame) -> float:
        """How many levels the worst cells are from what they were in the mean.

        In the mean, as a pattern of several colours stands for one between them; where colours are
        to be exact, the worst pixel's.
        """
        seen, known = self._both(pixels, reduced)
        if self._exact:
            return float(cv2.absdiff(seen, known).max())
        height, width = self._size
        cells = (max(1, width // _CELL), max(1, height // _CELL))
        means = (cv2.resize(one, cells, interpolation=cv2.INTER_AREA) for one in (seen, known))
        return float(np.quantile(cv2.absdiff(*means).max(axis=2), _SHARE))


def _opaque(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2BGRA), np.uint8)


class _Colours:
    """Colours chosen for a picture, for it and those that follow.

    Args:
        picture: bgra.
        chosen: its colours, as FFmpeg's palettegen gives them.
        patterned: whether patterns stand for colours that are not among them.
    """

    def __init__(self, picture: VideoFrame, chosen: VideoFrame, *, patterned: bool) -> None:
        dither = "bayer:bayer_scale=4" if patterned else "none"
        graph = Graph()
        graph.threads = 1
        use = graph.add("paletteuse", f"dither={dither}:alpha_threshold={_HALF}")
        self._pictures = _buffer(graph, (picture.width, picture.height))
        table = _buffer(graph, (chosen.width, chosen.height))
        self._out = graph.add("buffersink")
        self._pictures.link_to(use, 0, 0)
        table.link_to(use, 0, 1)
        use.link_to(self._out)
        graph.configure()
        self._graph, self._count = graph, 0
        table.push(chosen)
        table.push(None)

    def __call__(self, picture: VideoFrame) -> VideoFrame:
        picture.pts, picture.time_base = self._count, _TICK
        self._count += 1
        self._pictures.push(picture)
        return cast(VideoFrame, self._out.pull())


def _chosen(picture: VideoFrame) -> VideoFrame:
    """The 256 colours that suit a picture best, one of them transparent."""
    graph = Graph()
    graph.threads = 1
    source = _buffer(graph, (picture.width, picture.height))
    out = graph.add("buffersink")
    graph.link_nodes(source, graph.add("palettegen"), out).configure()
    picture.pts, picture.time_base = 0, _TICK
    source.push(picture)
    source.push(None)
    chosen = cast(VideoFrame, out.pull())
    chosen.pts, chosen.time_base = 0, _TICK
    return chosen


def _buffer(graph: Graph, size: tuple[int, int]) -> FilterContext:
    shape = VideoFormat("bgra", *size)
    return graph.add_buffer(width=size[0], height=size[1], format=shape, time_base=_TICK)


def _encoder(size: tuple[int, int]) -> VideoCodecContext:
    encoder = CodecContext.create("gif", "w")
    encoder.height, encoder.width = size
    encoder.pix_fmt = "pal8"
    encoder.time_base = _TICK
    return encoder
