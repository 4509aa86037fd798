"""Pictures made fit for an encoder: of its format and size, and with no sample beyond its depth."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from stream.pictures.letterbox import Letterbox
from stream.pictures.on_black import on_black
from stream.pictures.pixels import MATRICES, matrix_of, plane_view
from stream.pictures.references import Referencer
from stream.pictures.scaler import Scaler

_DEEP = re.compile(r"(?:gray|yuva?4[0-4][0-4]p)(9|10|12|14)le")
_RGB_MATRIX = 0
_HDR = {16: "PQ", 18: "HLG"}
"""What H.273 calls transfer characteristics of which values are no sRGB."""


class Pictures:
    """Takes pictures as they come and gives pictures of one's own that an encoder takes.

    Attributes:
        fitted: how many were of another size, and stand between black bars.
    """

    def __init__(self, width: int, height: int, pixel_format: str, *, narrow: bool = False) -> None:
        """Says what is wanted.

        Args:
            width: in pixels.
            height: in pixels.
            pixel_format: FFmpeg's name of it.
            narrow: whether samples that use all values are brought to those of film (16 to 235 of
                8 bits), as what comes next cannot say which they are.
        """
        self.fitted = 0
        self._size = (width, height)
        self._narrow = narrow
        self._format = pixel_format
        self._to_rgb = VideoFormat(pixel_format).is_rgb
        self._reference = Referencer()
        self._scale = Scaler()
        deep = _DEEP.fullmatch(pixel_format)
        self._most = (1 << int(deep[1])) - 1 if deep else None
        self._letterbox = Letterbox(width, height)

    def __call__(self, picture: VideoFrame, alpha: NDArray[np.uint8] | None = None) -> VideoFrame:
        """A picture that is nobody else's; its samples may still be shared.

        Args:
            picture: of any format and size.
            alpha: how opaque it is, which is not kept: it is laid on black.

        Raises:
            av.FFmpegError: there is no way from this picture's format to the wanted one.
        """
        own = self._reference(on_black(picture, alpha))
        if (own.width, own.height) != self._size:
            self.fitted += 1
            own = self._letterbox(own)
        if self._narrow and full_range(own):
            own = self._narrowed(own)
        elif own.format.name != self._format:
            own = self._convert(own)
        return own if self._most is None else within(own, self._most)

    def _narrowed(self, picture: VideoFrame) -> VideoFrame:
        made = self._scale(
            picture,
            pixel_format=self._format,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
        )
        made.color_range = int(ColorRange.MPEG)
        return made

    def _convert(self, picture: VideoFrame) -> VideoFrame:
        if not self._to_rgb or picture.format.is_rgb:
            return self._scale(picture, pixel_format=self._format)
        converted = self._scale(
            picture,
            pixel_format=self._format,
            src_colorspace=MATRICES[matrix_of(picture)].swscale,
            dst_colorspace=Colorspace.DEFAULT,
            dst_color_range=ColorRange.JPEG,
        )
        converted.colorspace, converted.color_range = _RGB_MATRIX, int(ColorRange.JPEG)
        return converted


def lost_light(transfer: int, ending: str) -> list[str]:
    """What is to be said where a kind of file has no place for how bright HDR's values are.

    Args:
        transfer: of the film, H.273's TransferCharacteristics.
        ending: of the file.
    """
    if transfer not in _HDR:
        return []
    return [
        f"the film is HDR ({_HDR[transfer]}), which {ending} has no place for: its colours are "
        "written as they are and look pale; .mp4, .mkv and .webm keep it"
    ]


def lost_shape(
    shape: Fraction, ending: str, able: str = ".mp4", *, told: Fraction | None = None
) -> list[str]:
    """What is to be said where a kind of file cannot hold that samples are not square.

    Args:
        shape: width over height of one sample.
        ending: of the file.
        able: what can.
        told: the shape that the file holds in its place, if any.
    """
    if shape in (1, told):
        return []
    if told is not None:
        return [
            f"the pictures' shape (samples of {shape.numerator}:{shape.denominator}) is rounded to "
            f"{told.numerator}:{told.denominator}, which {ending} can hold; .mkv holds it as it is"
        ]
    return [
        f"the pictures' shape (samples of {shape.numerator}:{shape.denominator}) is lost, which "
        f"{ending} cannot hold here; {able} can"
    ]


def full_range(picture: VideoFrame) -> bool:
    """Whether a picture's samples use all values, black being 0."""
    name = picture.format.name
    return name.startswith("yuvj") or (
        picture.color_range == ColorRange.JPEG and not picture.format.is_rgb
    )


def within(picture: VideoFrame, most: int) -> VideoFrame:
    """The picture with no sample above `most`; itself where none is.

    Damaged video has such samples, and encoders end the process at them.

    Args:
        picture: planar, of 9 to 16 bits a sample; changed only where nobody else sees it.
        most: the highest value of a sample.
    """
    if all(int(plane_view(plane, 16).max()) <= most for plane in picture.planes):
        return picture
    picture.make_writable()
    for plane in picture.planes:
        view = plane_view(plane, 16)
        np.minimum(view, most, out=view)
    return picture
