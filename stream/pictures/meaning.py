"""How sample values mean colours, brought to one way where it changes on the way."""

from __future__ import annotations

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from stream.pictures.colour_tags import ColourTags
from stream.pictures.pixels import MATRICES, plane_view, tagged
from stream.pictures.scaler import Scaler

_RANGES = (int(ColorRange.MPEG), int(ColorRange.JPEG))


def plain(pixel_format: str) -> str:
    """The name that does not say the range."""
    return pixel_format.replace("yuvj", "yuv")


def _called_plainly(picture: av.VideoFrame) -> av.VideoFrame:
    """The same picture by a name that swscale does not read the range from."""
    made = av.VideoFrame(picture.width, picture.height, plain(picture.format.name))
    for stored, target in zip(picture.planes, made.planes, strict=True):
        np.copyto(plane_view(target), plane_view(stored))
    return tagged(made, picture)


class Meaning:
    """Brings the samples of pictures in YUV to one matrix and one range.

    Pictures of which neither is said mean what they were told to. Formats stay, but that those of
    FFmpeg's names with a j become the ones without. One thread at a time.
    """

    def __init__(self, pixel_format: str, colour: ColourTags) -> None:
        """Says what is wanted.

        Args:
            pixel_format: FFmpeg's name of it, which may say the range.
            colour: how sample values are to mean colours.
        """
        self._format = pixel_format
        named = pixel_format.startswith("yuvj")
        self._all_values = named if colour.full_range is None else colour.full_range
        self._matrix = colour.matrix or 0
        self._told = MATRICES.get(self._matrix)
        self._scale = Scaler()

    def __call__(self, picture: av.VideoFrame) -> av.VideoFrame:
        """The picture itself where it means colours so already, else a new one."""
        name = picture.format.name
        if not name.startswith("yuv"):
            return picture
        # A decoder goes on with the format's name, whatever the range becomes.
        said = picture.color_range in _RANGES
        full = picture.color_range == ColorRange.JPEG if said else name.startswith("yuvj")
        ranged = full != self._all_values and (full or said)
        source, told = MATRICES.get(int(picture.colorspace)), self._told
        turned = source is not None and told is not None and source != told
        if not ranged and not turned:
            return picture
        to_all = self._all_values if ranged else full
        if name.startswith("yuvj") and not full:
            picture = _called_plainly(picture)
        same = plain(name) == plain(self._format)
        made = self._scale(
            picture,
            pixel_format=self._format if to_all and same else plain(name),
            src_colorspace=source.swscale if source and turned else Colorspace.DEFAULT,
            dst_colorspace=told.swscale if told and turned else Colorspace.DEFAULT,
            src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG if to_all else ColorRange.MPEG,
        )
        made.color_range = _RANGES[to_all]
        if turned:
            made.colorspace = self._matrix
        return made
