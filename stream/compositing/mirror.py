"""Left and right exchanged, before anything is painted, so that labels stay readable."""

from __future__ import annotations

import av
import cv2

from stream.compositing.planes import writable_planes


def mirror(picture: av.VideoFrame) -> None:
    """Mirrors a picture in place, after a copy where others refer to it.

    Raises:
        ValueError: it is not planar little-endian YUV or grey of 8 to 16 bits.
    """
    for samples in writable_planes(picture).samples:
        samples[...] = cv2.flip(samples, 1)
