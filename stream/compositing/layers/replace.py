"""Something else behind the objects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from stream.compositing.behind import Background, Behind
from stream.compositing.canvas import Canvas
from stream.compositing.encoding import HDR, Encoding, encoded
from stream.compositing.film import Film, Fitting
from stream.compositing.mattes import Matte
from stream.compositing.own_colour import give_own_colours, grown, reach_of
from stream.compositing.palette import Colour
from stream.compositing.planes import Samples
from stream.compositing.style import Style, parse_colour
from stream.errors import UsageError
from stream.photo_files.photo import colours_of, decoded, is_heif, opacity_of
from stream.photo_files.photo_facts import is_animation
from stream.pictures.pixels import plane_view, reduce_to, rgb_from_picture
from stream.system.overheard import overheard

_PICTURES = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2", ".webp"),
    *(".avif", ".heic", ".heif", ".hif"),
)

_Setting = tuple[tuple[int, int], str, Encoding, int]


class Replace(Behind):
    """Puts a colour, a picture or a video behind the objects.

    A video has its own time: it shows what it shows at the frame's presentation time, at its own
    rate, and begins again after its end.

    Raises:
        UsageError: the background is neither a colour nor a file that can be read.
    """

    held: ClassVar[bool] = False

    fills: ClassVar[bool] = True
    conceals: ClassVar[bool] = True
    coloured = True

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self._colour: Colour | None = None
        self._picture: NDArray[np.uint8] | None = None
        self._film: Film | None = None
        self._fitting: Fitting | None = None
        self._setting: _Setting | None = None
        self._shown: VideoFrame | None = None
        self._fitted: list[Samples] = []
        if re.fullmatch("#?[0-9a-fA-F]{6}", style.background):
            self._colour = parse_colour(style.background)
            self.coloured = len(set(self._colour)) > 1
        else:
            self._open(style.background)

    def _open(self, path: str) -> None:
        file = Path(path)
        if not file.is_file():
            raise UsageError(
                f"the background {path!r} is neither a colour such as 00FF00 nor a file that is "
                "there"
            )
        try:
            plays = file.suffix.lower() not in _PICTURES or is_animation(file)
        except OSError as error:
            words = error.strerror or error
            raise UsageError(f"the background {path!r} cannot be read ({words})") from error
        if not plays:
            self._picture = _read(file)
        else:
            self._film = Film(path)

    def paint(self, canvas: Canvas) -> None:
        """Puts it around the objects, whose edges have their own colour and not what was behind."""
        edge = self.edge(canvas.size)
        matte = canvas.matte(edge)
        if matte.window is not None:
            planes, reach = canvas.planes, reach_of(canvas.size, edge.feather)
            window = grown(matte.window, canvas.size, planes.grid, reach)
            give_own_colours(planes, matte.alpha, window, reach, opacity=canvas.alpha)
        super().paint(canvas)

    def backgrounds(self, canvas: Canvas, matte: Matte) -> Sequence[Background | None]:
        """The colour's code values, or the picture, cut to the canvas's shape."""
        if self._colour is not None:
            return [*canvas.encoding.codes(self._colour)][: len(canvas.steps)]
        picture = canvas.picture
        setting = (canvas.size, picture.format.name, canvas.encoding, int(picture.colorspace))
        if self._setting != setting:
            self._setting, self._fitted, self._fitting = setting, [], None
        if self._film is not None:
            self._play(canvas, self._film)
        elif not self._fitted:
            assert self._picture is not None
            self._fitted = self._encoded(self._picture, canvas)
        return list(self._fitted)

    def _play(self, canvas: Canvas, film: Film) -> None:
        shown = film.at(canvas.seconds)
        if self._fitted and shown is self._shown:
            return
        self._shown = shown
        if canvas.encoding.transfer in HDR:
            self._fitted = self._encoded(rgb_from_picture(shown), canvas)
            return
        if self._fitting is None:
            picture = canvas.picture
            self._fitting = Fitting(
                canvas.size,
                picture.format.name,
                canvas.encoding,
                int(picture.colorspace),
                film.shape,
            )
        fitted = self._fitting(shown)
        depth = canvas.encoding.depth
        # A copy: the picture's memory goes back to FFmpeg with it.
        self._fitted = [plane_view(plane, depth).copy() for plane in fitted.planes]

    def _encoded(self, rgb: NDArray[np.uint8], canvas: Canvas) -> list[Samples]:
        planes = encoded(cover(rgb, canvas.size), canvas.encoding)
        return [reduce_to(plane, step) for plane, step in zip(planes, canvas.steps, strict=False)]

    def close(self) -> None:
        """Closes the video."""
        self._shown = None
        if self._film is not None:
            self._film.close()


def cover(rgb: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture scaled to cover a (height, width) without distortion, its middle kept."""
    height, width = size
    scale = max(height / rgb.shape[0], width / rgb.shape[1])
    # The part that will be seen.
    rows = min(rgb.shape[0], max(1, round(height / scale)))
    columns = min(rgb.shape[1], max(1, round(width / scale)))
    top, left = (rgb.shape[0] - rows) // 2, (rgb.shape[1] - columns) // 2
    seen = rgb[top : top + rows, left : left + columns]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(seen, (width, height), interpolation=how), np.uint8)


def _read(file: Path) -> NDArray[np.uint8]:
    why = ""
    try:
        data = np.frombuffer(file.read_bytes(), np.uint8)
        with overheard():
            found = colours_of(data) if len(data) else None
        if found is None and is_heif(data):
            found = decoded(data)
    except (OSError, av.FFmpegError, cv2.error):  # first: some of them are also a ValueError
        found = None
    except ValueError as error:
        found, why = None, f": {error}"
    if found is None:
        raise UsageError(f"the background {str(file)!r} cannot be read as a picture{why}")
    rgb = np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), np.uint8)
    # Of a TIFF libtiff has put black behind it already.
    alpha = None if data[:2].tobytes() in (b"II", b"MM") else opacity_of(data)
    if alpha is None:
        return rgb
    # Where it is clear, it is black; what colour it has there nobody has ever seen.
    return np.asarray(cv2.multiply(rgb, cv2.merge([alpha] * 3), scale=1 / 255), np.uint8)
