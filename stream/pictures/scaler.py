"""swscale, which scales pictures and converts their samples, asked for what it can do alone."""

from __future__ import annotations

from typing import Any, Final

import av
from av.video.reformatter import VideoReformatter

_ROOM: Final = 64
"""Samples of luma in whose multiples rows are wide enough for what is written at once."""


class Scaler:
    """Brings pictures to another size or pixel format; keeps its tables between them.

    swscale computes rows in pieces of up to 16 samples, and writes the last one whole: beyond the
    row where a picture's width is no multiple of that, as a frame of PyAV's has no room there. One
    thread writes the next row later. Of several, each with rows of its own, one writes over the
    first samples of another's, which are grey or another row's then, now and again. So several
    work only where rows are whole pieces. One thread at a time.
    """

    def __init__(self) -> None:
        """Converts nothing yet."""
        self._swscale = VideoReformatter()

    def __call__(
        self,
        picture: av.VideoFrame,
        width: int | None = None,
        height: int | None = None,
        pixel_format: str | None = None,
        **how: Any,
    ) -> av.VideoFrame:
        """A new picture, or the same one where nothing is to be done.

        Args:
            picture: of any size and pixel format.
            width: wanted, in pixels; None keeps it.
            height: wanted, in pixels; None keeps it.
            pixel_format: FFmpeg's name of the wanted one; None keeps it.
            how: matrices, ranges and ways of scaling, as PyAV's reformatter takes them.

        Raises:
            av.FFmpegError: there is no way from this picture's format to the wanted one.
        """
        whole = (width or picture.width) % _ROOM == 0
        how.setdefault("threads", 0 if whole else 1)
        return self._swscale.reformat(picture, width, height, pixel_format, **how)
