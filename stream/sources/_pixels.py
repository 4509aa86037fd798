"""Pictures as the rest of the program wants them: upright, in planar YUV."""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from stream.pixels import paintable, plane_view

# What FFmpeg's encoders are not told through PyAV.
_LOST = {
    "MASTERING_DISPLAY_METADATA": "HDR10 mastering",
    "DYNAMIC_HDR_PLUS": "HDR10+",
    "DOVI_METADATA": "Dolby Vision",
}
_BT709, _BT601 = 1, 6
_CLOCKWISE = {1: cv2.ROTATE_90_CLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_COUNTERCLOCKWISE}


def nearest_native(name: str) -> str:
    """The planar YUV or grey format that keeps the most of a pixel format."""
    if paintable(name):
        return name
    # A size at which every subsampling shows as a ratio.
    picture = VideoFormat(name, 16, 16)
    depth = max(component.bits for component in picture.components)
    # Float samples (32 bits) keep the most in 16.
    deep = "" if depth <= 8 else f"{next((d for d in (9, 10, 12, 14) if d >= depth), 16)}le"
    if picture.is_rgb or picture.has_palette or picture.is_bayer or name.startswith("xyz"):
        return f"yuv444p{deep}"
    if len([c for c in picture.components if not c.is_alpha]) < 3:
        return f"gray{deep}"
    across, down = 16 // picture.chroma_width(16), 16 // picture.chroma_height(16)
    layout = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440", (4, 1): "411"}
    return f"yuv{layout.get((across, down), '410')}p{deep}"


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a picture is turned to stand upright: mirrored left to right first, then turned.

    Attributes:
        turns: quarter turns clockwise, 0..3.
        mirrored: whether left and right are exchanged before turning.
    """

    turns: int = 0
    mirrored: bool = False

    @property
    def upright(self) -> bool:
        """Whether there is nothing to do."""
        return not self.turns and not self.mirrored

    @property
    def sideways(self) -> bool:
        """Whether width and height change places."""
        return self.turns % 2 == 1


def orientation_of(picture: av.VideoFrame) -> Orientation:
    """The orientation that a picture's display matrix asks for, to the nearest quarter turn.

    The matrix maps stored to shown coordinates, y downwards, in 16.16 fixed point (ISO 14496-12,
    6.2.2; FFmpeg's libavutil/display.h).
    """
    try:
        data: Any = picture.side_data
    except ValueError:
        # PyAV refuses to list side data of which one kind is new to it (multi-view HEVC's), but
        # knows the angle, counterclockwise.
        return Orientation(round(-picture.rotation / 90) % 4)
    matrix = data.get(SideDataType.DISPLAYMATRIX)
    if matrix is None:
        return Orientation()
    a, b, _, c, d = struct.unpack("=9i", bytes(matrix))[:5]
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    return Orientation(round(math.degrees(math.atan2(b, a)) / 90) % 4, mirrored)


def lost_with(picture: av.VideoFrame) -> list[str]:
    """What a picture carries that goes no further, a sentence each."""
    sentences = []
    if picture.interlaced_frame:
        sentences.append("the pictures are interlaced and are taken as if they were progressive")
    try:
        data: Any = picture.side_data
        kinds = {one.type.name for one in data}
    except ValueError:  # see orientation_of
        kinds = set()
    lost = [words for kind, words in _LOST.items() if kind in kinds]
    if lost:
        sentences.append(f"the {' and '.join(lost)} data is not kept, the colour tags are")
    return sentences


class Upright:
    """Turns decoded pictures into upright pictures of one size and one native pixel format.

    Pictures that are so already pass through untouched and uncopied.

    Attributes:
        pixel_format: of the pictures that come out.
        width: of the pictures that come out, in pixels.
        height: of the pictures that come out, in pixels.
        orientation: how pictures are turned.
        remarks: what the conversion does not keep, a sentence each.
    """

    def __init__(self, first: av.VideoFrame) -> None:
        self.orientation = orientation_of(first)
        self.remarks: list[str] = []
        self._stored = (first.width, first.height)
        self._format = self._turnable(nearest_native(first.format.name))
        self._reformatter = VideoReformatter()
        self.pixel_format = self._format
        self.width, self.height = self._stored
        if self.orientation.sideways:
            self.width, self.height = self.height, self.width
        self._remark(first.format)

    def __call__(self, picture: av.VideoFrame) -> av.VideoFrame:
        """The picture upright and native; the same object where nothing was to do."""
        if picture.format.name != self._format or (picture.width, picture.height) != self._stored:
            picture = self._reformat(picture)
        return picture if self.orientation.upright else self._turn(picture)

    def _turnable(self, name: str) -> str:
        if not self.orientation.sideways:
            return name
        # Turned on its side, chroma that is halved in one direction only is halved in the
        # other, which few encoders take.
        return re.sub("4(22|40|11)", "444", name)

    def _remark(self, stored: VideoFormat) -> None:
        if any(component.is_alpha for component in stored.components):
            self.remarks.append("the picture's transparency is dropped")
        if stored.is_rgb or stored.has_palette:
            self.remarks.append(
                f"the pictures are RGB ({stored.name}) and are converted to YUV "
                f"({self.pixel_format})"
            )
        elif self._format != nearest_native(stored.name):
            self.remarks.append(
                f"turning the pictures upright changes their pixel format from {stored.name} to "
                f"{self.pixel_format}"
            )

    def _reformat(self, picture: av.VideoFrame) -> av.VideoFrame:
        width, height = self._stored
        if not picture.format.is_rgb and not picture.format.has_palette:
            return self._reformatter.reformat(
                picture, width=width, height=height, format=self._format
            )
        high = height >= 720
        converted = self._reformatter.reformat(
            picture,
            width=width,
            height=height,
            format=self._format,
            dst_colorspace=Colorspace.ITU709 if high else Colorspace.ITU601,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
        )
        converted.colorspace = _BT709 if high else _BT601
        return converted

    def _turn(self, picture: av.VideoFrame) -> av.VideoFrame:
        turned = av.VideoFrame(self.width, self.height, self._format)
        depth = turned.format.components[0].bits
        for stored, shown in zip(picture.planes, turned.planes, strict=True):
            source = plane_view(stored, depth)
            if self.orientation.mirrored:
                source = cv2.flip(source, 1)
            target = plane_view(shown, depth)
            code = _CLOCKWISE.get(self.orientation.turns)
            np.copyto(target, source if code is None else cv2.rotate(source, code))
        turned.pts, turned.duration = picture.pts, picture.duration
        if picture.time_base is not None:
            turned.time_base = picture.time_base
        turned.colorspace, turned.color_range = picture.colorspace, picture.color_range
        turned.color_primaries, turned.color_trc = picture.color_primaries, picture.color_trc
        return turned
