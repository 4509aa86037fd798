"""How much memory pictures that wait for others may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av

MOST_HELD = 80_000_000
"""Bytes of pictures that wait for what follows them at most: six of 4K."""


def bytes_of(picture: av.VideoFrame) -> int:
    """How much memory a picture takes."""
    return sum(plane.buffer_size for plane in picture.planes)
