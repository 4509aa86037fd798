"""A part of a picture as a picture of its own, such as the one that an object is in."""

from __future__ import annotations

from dataclasses import replace

import av
import numpy as np

from stream.compositing.planes import part
from stream.frame import Frame
from stream.instances import Instances
from stream.pictures.pixels import layout, plane_view
from stream.roi import Window, paste_mask

_MARGIN = 4
"""Pixels around an object in a picture of its own."""


def around(alone: Instances, frame: Frame) -> Window | None:
    """The part of a painted picture that objects are in, with a margin; None where it is none."""
    height, width = frame.image.height, frame.image.width
    there = np.zeros((height, width), np.bool_) if frame.alpha is None else frame.alpha > 0
    for box, mask in zip(alone.paste_boxes, alone.masks, strict=True):
        pasted = paste_mask(mask, box, width, height, alone.mask_threshold)
        if frame.alpha is None and pasted is not None:
            (top, bottom, left, right), inside = pasted
            there[top:bottom, left:right] |= inside
    rows, columns = (np.flatnonzero(there.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    return (
        max(0, int(rows[0]) - _MARGIN),
        min(height, int(rows[-1]) + 1 + _MARGIN),
        max(0, int(columns[0]) - _MARGIN),
        min(width, int(columns[-1]) + 1 + _MARGIN),
    )


def cropped(frame: Frame, window: Window) -> Frame:
    """A part of a frame as a frame of its own; it is grown to the grid of the chroma planes."""
    picture = frame.image
    depth, steps = layout(picture.format.name)
    rows, columns = steps[-1]
    top, left = window[0] - window[0] % rows, window[2] - window[2] % columns
    window = (top, window[1], left, window[3])
    small = av.VideoFrame(window[3] - left, window[1] - top, picture.format.name)
    for plane, source, step in zip(small.planes, picture.planes, steps, strict=True):
        plane_view(plane, depth)[...] = part(plane_view(source, depth), step, window)
    small.pts = picture.pts
    for tag in ("colorspace", "color_range", "color_primaries", "color_trc"):
        setattr(small, tag, getattr(picture, tag))
    alpha = frame.alpha
    if alpha is not None:
        alpha = np.ascontiguousarray(alpha[top : window[1], left : window[3]])
    return replace(frame, image=small, alpha=alpha)
