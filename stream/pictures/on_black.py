"""What is seen of pictures that are clear in parts where nothing lies behind them: black."""

from __future__ import annotations

import av
import numpy as np
from numpy.typing import NDArray

from stream.pictures.pixels import is_full_range, layout, paintable, plane_view, reduce_to, tagged
from stream.types import Array


def on_black(picture: av.VideoFrame, alpha: NDArray[np.uint8] | None) -> av.VideoFrame:
    """A picture on black; itself where all of it is opaque.

    Below what is clear a file may hold any colours, which nobody is meant to see.

    Args:
        picture: planar YUV or grey, 8 to 16 bits; it is left as it is, as is one of another format.
        alpha: how opaque its pixels are, uint8 of its size; None where all are wholly so.
    """
    name = picture.format.name
    if alpha is None or not paintable(name) or bool((alpha == 255).all()):
        return picture
    return mixed_with_black(picture, name, alpha, 255)


def mixed_with_black(picture: av.VideoFrame, name: str, opacity: Array, most: int) -> av.VideoFrame:
    """The colours of a picture, each by its opacity, in a picture of its own.

    They are mixed in the range that they are written in, of which FFmpeg's own filter is told
    nothing.

    Args:
        picture: planar YUV or grey, 8 to 16 bits, perhaps with a plane of opacity.
        name: of its format without that plane.
        opacity: [H, W] of the picture's size.
        most: what is wholly opaque in it.
    """
    made = tagged(av.VideoFrame(picture.width, picture.height, name), picture)
    depth, steps = layout(name)
    black = 0 if is_full_range(name, picture.color_range) else 16 << (depth - 8)
    whole = opacity.astype(np.float32)
    each = zip(picture.planes, made.planes, steps, strict=False)
    for place, (source, target, step) in enumerate(each):
        share = reduce_to(whole, step) / np.float32(most)
        code = np.float32(128 << (depth - 8) if place else black)
        samples = np.asarray(plane_view(source, depth), np.float32)
        mixed = np.rint(code + share * (samples - code))
        plane_view(target, depth)[...] = mixed
    return made
