"""Chroma for grey pictures, where what is painted on them has colours."""

from __future__ import annotations

from dataclasses import replace

import av
from av.video.reformatter import ColorRange

from stream.pictures.colour_tags import ColourTags
from stream.pictures.pixels import plane_view, tagged

_GREY = "gray"
_RGB, _UNSPECIFIED = 0, 2


def is_grey(pixel_format: str) -> bool:
    """Whether pictures of a pixel format have luma alone."""
    return pixel_format.startswith(_GREY)


def with_chroma(pixel_format: str) -> str:
    """What a pixel format becomes, by FFmpeg's names: grey the 4:2:0 of its depth, else itself."""
    if not is_grey(pixel_format):
        return pixel_format
    return f"yuv420p{pixel_format.removeprefix(_GREY)}"


def tags_with_chroma(tags: ColourTags) -> ColourTags:
    """What the colour tags of a grey picture become: grey uses all values unless it says not to.

    Grey out of RGB says that it is RGB, which what has chroma is not.
    """
    matrix = _UNSPECIFIED if tags.matrix == _RGB else tags.matrix
    return replace(tags, matrix=matrix, full_range=tags.full_range is not False)


def coloured(picture: av.VideoFrame) -> av.VideoFrame:
    """A grey picture as a new one that can hold colours, every sample of luma as it was.

    Args:
        picture: grey, of 8 to 16 bits in little-endian order; not changed.
    """
    made = av.VideoFrame(picture.width, picture.height, with_chroma(picture.format.name))
    depth = made.format.components[0].bits
    luma, *chroma = [plane_view(plane, depth) for plane in made.planes]
    luma[...] = plane_view(picture.planes[0], depth)
    for samples in chroma:
        samples.fill(1 << (depth - 1))
    tagged(made, picture)
    if picture.color_range != ColorRange.MPEG:
        made.color_range = int(ColorRange.JPEG)
    if picture.colorspace == _RGB:
        made.colorspace = _UNSPECIFIED
    return made
