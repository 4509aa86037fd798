"""A video that plays behind the objects, over and over, by its own clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
from av.container import InputContainer
from av.filter import Graph
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stream.compositing.clear_films import opacity_for, pictures_of
from stream.compositing.encoding import Encoding
from stream.errors import UsageError
from stream.photo_files.photo_facts import is_animation
from stream.photo_files.webp import Animation, Canvas, animation_of, is_animated
from stream.pictures.pixels import has_alpha, known_matrix

_FAILURES = (av.FFmpegError, OSError, ValueError)
_FAR = 10.0
"""Seconds ahead from which on it is quicker to look for a keyframe than to decode all between."""
_ROUNDING = 5e-4
"""Seconds by which times may be early: files count in milliseconds, and numbers are rounded."""
_ONE_FRAME = 0.04
"""How long a frame lasts of which nobody says, in seconds."""
_NAMES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}
_FULL = 2
_TURNS = {
    90: (("transpose", "cclock"),),
    180: (("hflip", None), ("vflip", None)),
    270: (("transpose", "clock"),),
}
_SHORTEST = 1e-3
_PNG = b"\x89PNG\r\n\x1a\n"
_HEAD = 21
_TICK = Fraction(1, 1000)


class _Shot(NamedTuple):
    """A picture, when it begins and how long it lasts, in seconds."""

    start: float
    length: float
    picture: VideoFrame


class Film:
    """Gives the picture that a video shows at any time; after its end it begins again.

    Two decoded pictures are held at most. Nothing is open before the first picture is asked for,
    nor after `close`.
    """

    def __init__(self, path: str) -> None:
        """Makes sure that there is a picture in it.

        Raises:
            UsageError: the file cannot be read as a video.
        """
        self._path = path
        self._container: InputContainer | None = None
        self._shots: Iterator[_Shot] = iter(())
        self._current: _Shot | None = None
        self._following: _Shot | None = None
        self._length: float | None = None
        self._origin: float | None = None
        self.shape = 1.0
        """How wide a sample is, as a multiple of its height."""
        try:
            self._begin()
        finally:
            self.close()

    def at(self, seconds: float) -> VideoFrame:
        """The picture at a time; not to be written to.

        Args:
            seconds: from its beginning on, any number; it may go back.

        Raises:
            UsageError: the file can no longer be read.
        """
        shot = self._begin() if self._current is None else self._current
        if self._origin is None:
            # Where nobody says how long it is, it begins with what is first asked for.
            self._origin = seconds if self._length is None else 0.0
        wanted = self._within(seconds)
        if wanted < shot.start:
            shot = self._begin()
        if self._length is not None and wanted - shot.start > _FAR:
            shot = self._seek(wanted)
        following = self._following
        while following is not None and following.start <= wanted:
            shot = self._advance(following)
            following = self._following
            if following is None:
                self._length = shot.start + shot.length
                if wanted >= self._length:  # it is shorter than it says
                    return self.at(seconds)
        return shot.picture

    def close(self) -> None:
        """Lets go of the file; asked again, it opens it again."""
        container, self._container = self._container, None
        self._current = self._following = None
        self._shots = iter(())
        if container is not None:
            container.close()

    def _within(self, seconds: float) -> float:
        seconds += _ROUNDING - (self._origin or 0.0)
        return seconds if self._length is None else seconds % self._length

    def _begin(self) -> _Shot:
        """Opens the file, again too, and takes its first picture."""
        self.close()
        try:
            with open(self._path, "rb") as file:  # noqa: PTH123 - a text
                head = file.read(_HEAD)
            if is_animated(head):
                self._play_webp()
            else:
                # By its name FFmpeg takes an animation for a still, or a still for an animation.
                form = "apng" if is_animation(Path(self._path)) else "png_pipe"
                self._open(form if head.startswith(_PNG) else None)
            first = next(self._shots, None)
        except _FAILURES as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(
                f"the background {self._path!r} cannot be read as a picture or a video ({reason})"
            ) from error
        if first is None:
            raise UsageError(f"the background {self._path!r} has no picture in it")
        return self._advance(first)

    def _open(self, form: str | None) -> None:
        """Opens what FFmpeg reads, as a format or as it guesses."""
        container = av.open(self._path, format=form)
        self._container = container
        if not container.streams.video:
            raise ValueError("there is no video in it")
        stream = _moving(container)
        if self._length is None and stream.duration and stream.time_base:
            self._length = float(stream.duration * stream.time_base)
        elif self._length is None and container.duration:
            self._length = container.duration / av.time_base
        self.shape = float(stream.sample_aspect_ratio or 1) or 1.0
        self._shots = _decoded(container, stream)

    def _play_webp(self) -> None:
        """Opens an animated WebP, which FFmpeg does not read; its file is held, no picture is."""
        with open(self._path, "rb") as file:  # noqa: PTH123 - a text
            found = animation_of(file.read())
        if found is not None and found.parts:
            self._length = found.lasts / 1000
            self._shots = _laid(found)

    def _seek(self, wanted: float) -> _Shot:
        """Goes on from the keyframe before a time, where the file can tell, else from the first."""
        if self._container is None:
            return self._begin()
        stream = _moving(self._container)
        start = stream.start_time or 0
        found: _Shot | None = None
        try:
            ticks = int(wanted / (stream.time_base or 1))
            self._container.seek(start + ticks, stream=stream)
            self._shots = _decoded(self._container, stream)
            found = next(self._shots, None)
        except av.FFmpegError:
            return self._begin()
        return self._begin() if found is None or found.start > wanted else self._advance(found)

    def _advance(self, shot: _Shot) -> _Shot:
        """Goes on to a picture."""
        self._current, self._following = shot, next(self._shots, None)
        return shot


def _moving(container: InputContainer) -> VideoStream:
    """The pictures that play: none that stands for them, and in an animated AVIF no opacity."""
    every = list(container.streams.video)
    films = [
        one
        for one in every
        if not one.disposition & Disposition.attached_pic
        # An AVIF's first picture, once more and without a clock.
        and not (one.time_base == 1 and one.frames == 1 and one.duration is None)
    ]
    return (films or every)[0]


def _laid(animation: Animation) -> Iterator[_Shot]:
    """The pictures of an animated WebP; damaged ones are left out."""
    canvas = Canvas(animation)
    for part in animation.parts:
        with suppress(ValueError):
            picture = VideoFrame.from_ndarray(canvas.lay(part), format="bgra")
            picture.time_base = _TICK
            yield _Shot(part.begin / 1000, max(part.lasts / 1000, _SHORTEST), picture)


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[_Shot]:
    """The pictures with their times from the first one on; damage ends it early."""
    first = float((stream.start_time or 0) * (stream.time_base or 0))
    usual = float(1 / stream.average_rate) if stream.average_rate else _ONE_FRAME
    latest = -1.0
    try:
        for frame in pictures_of(container, stream, opacity_for(container, stream)):
            start = latest + usual if frame.time is None else frame.time - first
            if start <= latest:
                continue
            latest = start
            length = float((frame.duration or 0) * (frame.time_base or 0))
            yield _Shot(start, max(length or usual, _SHORTEST), frame)
    except _FAILURES:
        return


class Fitting:
    """Brings pictures of one kind to a size and an encoding: scaled to cover it, the middle kept.

    Args:
        size: the wanted height and width in pixels.
        pixel_format: the wanted format.
        encoding: how colours are written in it.
        matrix: its colour matrix, as H.273 has it.
        shape: how wide a sample of the pictures is, as a multiple of its height.
    """

    def __init__(
        self,
        size: tuple[int, int],
        pixel_format: str,
        encoding: Encoding,
        matrix: int,
        shape: float = 1.0,
    ) -> None:
        self._size = size
        self._format = pixel_format
        self._range = "full" if encoding.full_range else "limited"
        self._shape = shape
        self._matrix = _named(matrix, size[1], size[0])
        self._graph: Graph | None = None
        self._for: object = None

    def __call__(self, picture: VideoFrame) -> VideoFrame:
        """A new picture of the wanted size and format."""
        key = (
            picture.width,
            picture.height,
            picture.format.name,
            picture.colorspace,
            picture.color_range,
            picture.rotation,
        )
        if self._graph is None or self._for != key:
            self._graph, self._for = self._build(picture), key
        self._graph.push(picture)
        return self._graph.pull()  # type: ignore[return-value]  # a picture for a picture

    def _build(self, picture: VideoFrame) -> Graph:
        height, width = self._size
        rows, columns = picture.height, picture.width
        shape = self._shape
        turned = round(picture.rotation / 90) * 90 % 360
        if turned % 180:
            rows, columns, shape = columns, rows, 1 / shape
        scale = max(height / rows, width / (columns * shape))
        # What is far from being seen goes first, in multiples of what chroma stands for;
        # the rest once it is scaled, by which the middle stays to the pixel.
        kept_rows = rows - 4 * (max(0, rows - round(height / scale)) // 4)
        kept_columns = columns - 4 * (max(0, columns - round(width / scale / shape)) // 4)
        tall = max(height, round(kept_rows * scale))
        wide = max(width, round(kept_columns * shape * scale))
        graph = Graph()
        graph.threads = 1
        nodes = [
            graph.add_buffer(
                width=picture.width,
                height=picture.height,
                format=picture.format,
                time_base=picture.time_base,
            )
        ]
        if has_alpha(picture.format):  # Where it is clear, it is black.
            nodes.append(graph.add("premultiply", "inplace=1"))
        nodes += [graph.add(name, how) for name, how in _TURNS.get(turned, ())]
        nodes.append(graph.add("crop", f"{kept_columns}:{kept_rows}"))
        full = picture.color_range == _FULL or picture.format.name.startswith("yuvj")
        how = f"{wide}:{tall}:flags={'area' if scale < 1 else 'bicubic'}"
        how += f":out_color_matrix={self._matrix}:out_range={self._range}"
        if not picture.format.is_rgb:
            how += f":in_color_matrix={_named(picture.colorspace, columns, rows)}"
            how += f":in_range={'full' if full else 'limited'}"
        nodes.append(graph.add("scale", how))
        nodes += [graph.add("format", self._format), graph.add("crop", f"{width}:{height}")]
        nodes.append(graph.add("buffersink"))
        graph.link_nodes(*nodes).configure()
        return graph


def _named(matrix: int, width: int, height: int) -> str:
    """What swscale calls a matrix, guessed by size where nothing is known of it."""
    return _NAMES[known_matrix(matrix, width, height)]
