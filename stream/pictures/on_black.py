"""What is seen of pictures that are clear in parts where nothing lies behind them: black."""

from __future__ import annotations

import av
import cv2
import numpy as np
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from stream.frame import Frame
from stream.pixels import paintable, plane_view, tagged
from stream.types import Array

_RULER = 64
"""Pixels of a picture at which every subsampling shows as a ratio."""


def seen(frame: Frame) -> av.VideoFrame:
    """A frame's picture as it is seen: itself, or on black where it is clear in parts."""
    return on_black(frame.image, frame.alpha)


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
    form = VideoFormat(name, _RULER, _RULER)
    depth = form.components[0].bits
    full = picture.color_range == ColorRange.JPEG or name.startswith("yuvj")
    if name.startswith("gray"):  # which is full where it does not say
        full = picture.color_range != ColorRange.MPEG
    black = 0 if full else 16 << (depth - 8)
    for place, (source, target) in enumerate(zip(picture.planes, made.planes, strict=False)):
        part = form.components[place]
        share = _shrunk(opacity, _RULER // part.height, _RULER // part.width) / np.float32(most)
        code = np.float32(128 << (depth - 8) if place else black)
        samples = np.asarray(plane_view(source, depth), np.float32)
        mixed = np.rint(code + share * (samples - code))
        plane_view(target, depth)[...] = mixed
    return made


def _shrunk(opacity: Array, rows: int, columns: int) -> NDArray[np.float32]:
    """The mean of each so many rows and columns; the last ones count as if they went on."""
    whole = opacity.astype(np.float32)
    if rows == columns == 1:
        return whole
    height, width = whole.shape
    whole = cv2.copyMakeBorder(
        whole, 0, -height % rows, 0, -width % columns, cv2.BORDER_REPLICATE
    ).astype(np.float32, copy=False)
    size = whole.shape[1] // columns, whole.shape[0] // rows
    return np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.float32)
