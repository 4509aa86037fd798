"""Where a frame's chroma samples lie, which PyAV does not tell and swscale goes by."""

from __future__ import annotations

import re
import threading

import av
import numpy as np
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from stream.pictures.pixels import plane_view, readable_matrix
from stream.pictures.references import Referencer

CENTRED = (0.5, 0.5)
"""Half-way between the luma samples that they stand for."""

_NAMES = {
    (0.0, 0.5): "left",
    CENTRED: "center",
    (0.0, 0.0): "topleft",
    (0.5, 0.0): "top",
    (0.0, 1.0): "bottomleft",
    (0.5, 1.0): "bottom",
}
"""FFmpeg's names, in the order of ITU-T H.273's Chroma420SampleLocType."""
SHRUNK = re.compile(r"yuvj?a?420p")
"""Formats that have one chroma sample for two by two luma samples, by their names' beginning."""

_SMALL, _STEP = 8, 16
"""A small picture of so many chroma samples a side, whose levels rise by so much."""


class Siting:
    """Asks swscale, by a small picture that has the frame's tags; may be used from several threads.

    The small picture's chroma is a ramp, so that where it is sampled shows in its level.
    """

    def __init__(self) -> None:
        """Asks nothing yet."""
        self._local = threading.local()

    def __call__(self, frame: av.VideoFrame) -> tuple[float, float]:
        """How far right of and below the first luma sample chroma lies, in luma samples: 0 to 1.

        Of a frame in 4:2:0; where chroma is halved across only, the second says nothing.
        """
        made: tuple[VideoReformatter, VideoReformatter] | None
        made = getattr(self._local, "made", None)
        if made is None:
            made = self._local.made = (VideoReformatter(), VideoReformatter())
        shrink, enlarge = made
        side = 2 * _SMALL
        # Nearest neighbours: it is the tags alone that are wanted. Of these swscale refuses
        # matrices that it lacks, unless it is told some other; while it is told one, PyAV changes
        # the tags of what it is given.
        lacking = readable_matrix(frame.colorspace) != frame.colorspace
        small = shrink.reformat(
            Referencer()(frame) if lacking else frame,
            side,
            side,
            "yuv420p",
            src_colorspace=Colorspace.ITU601 if lacking else None,
            dst_colorspace=Colorspace.ITU601 if lacking else None,
            interpolation=Interpolation.POINT,
            threads=1,
        )
        ramp = (_STEP * np.arange(_SMALL, dtype=np.uint8))[None].repeat(_SMALL, 0)
        plane_view(small.planes[1])[:], plane_view(small.planes[2])[:] = ramp, ramp.T
        # To another size, else swscale copies some formats without looking where samples lie.
        large = enlarge.reformat(
            small, 2 * side, 2 * side, "yuv444p", interpolation=Interpolation.BILINEAR, threads=1
        )
        # In the middle, chroma sample c lies at luma 2 c + siting; the enlarged one at this luma:
        at = (side + 0.5) / 2 - 0.5
        across, down = (float(plane_view(large.planes[index])[side, side]) for index in (1, 2))
        if frame.interlaced_frame:
            # Each field is enlarged by itself, with its chroma half as far below its first row.
            # This is row side / 2 of the first one, whose levels rise by twice as much.
            field = (side / 2 + 0.5) / 2 - 0.5
            return _half(at - 2 * across / _STEP), _half(2 * (field - down / _STEP))
        return _half(at - 2 * across / _STEP), _half(at - 2 * down / _STEP)


def named(siting: tuple[float, float]) -> str:
    """FFmpeg's name of where chroma samples lie; "" where it has none."""
    return _NAMES.get(siting, "")


def _half(value: float) -> float:
    return round(2 * value) / 2
