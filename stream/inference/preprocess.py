"""From a decoded picture to the model's input, in one step where that is possible."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter
from av.video.reformatter import Interpolation as Swscale
from numpy.typing import NDArray

from stream.inference.contract import Geometry, Resize
from stream.inference.on_device import DeviceInput
from stream.inference.onnx_runtime import DeviceTensor
from stream.inference.own_input import OwnInput
from stream.inference.resize import resize_rgb
from stream.pictures.pixels import MATRICES, is_full_range, matrix_of, mixing, plane_view
from stream.pictures.rgb import check_rgb

Picture = av.VideoFrame | NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture as the model takes it.

    Attributes:
        tensor: uint8 [1, H, W, 3], RGB; an `OrtValue` where it lies in a device's memory.
        geometry: where the picture lies in it.
        mirrored: whether it was mirrored before.
        others: further views of the same picture; see `stream.inference.views`.
    """

    tensor: NDArray[np.uint8] | DeviceTensor
    geometry: Geometry
    mirrored: bool = False
    others: tuple[Prepared, ...] = ()

    def pixels(self) -> NDArray[np.uint8]:
        """The tensor as an array, brought from the device where it lies there."""
        held = self.tensor
        return held if isinstance(held, np.ndarray) else held.numpy().astype(np.uint8, copy=False)


# One step from YUV to small RGB. Against an exact conversion of real clips followed by OpenCV's
# INTER_AREA, AREA with full chroma interpolation differs by 0.1 to 0.4 levels in the mean and at
# most 3 at the 99th percentile; without the latter flag every channel is 1.5 to 2 levels too dark
# (limited range). It is also swscale's closest to torch's plain bilinear: BILINEAR there widens
# its triangle when shrinking, FAST_BILINEAR aligns corners (mean differences 3.5, 5.1 and 10.9
# levels on the busiest clip). Milliseconds to 512x288, one thread of an AMD EPYC (Zen 5):
#     1280x720 1.0   1920x1080 1.7   1920x1080 10 bit 1.5   (to_ndarray and cv2: 2.2, 5 to 8, 8.5)
# A second thread only costs the decoder and the encoder theirs.
#
# Of YUV, swscale makes the small picture's own planes, and OpenCV mixes the colours of these: that
# takes half as long (1280x720 0.7 ms, 1.4 by swscale alone; 1920x1080 of 10 bit 2.0, 7.6; one
# thread of an Intel Xeon) and differs from the exact conversion by 0.3 to 0.6 levels in the mean
# and by no more at the 99th percentile.
_DIRECT = Swscale.AREA | Swscale.FULL_CHR_H_INT
_MIXED = ("bilinear", "area")
_YUV = re.compile(r"yuvj?4|nv\d|p[02]1|yuyv|uyvy")
_EXACT = Swscale.BICUBIC | Swscale.ACCURATE_RND | Swscale.FULL_CHR_H_INT


class Preprocessor:
    """Makes the model's input under one resize policy; may be used from several threads."""

    def __init__(
        self,
        resize: Resize,
        device: DeviceInput | None = None,
        place: Callable[[Geometry], Geometry] | None = None,
    ) -> None:
        """Prepares pictures for one model.

        Args:
            resize: the model's own policy (`Metadata.resize`).
            device: makes the input of decoded pictures where the model runs; None for here.
            place: another place in the input for what that policy made; None for that.
        """
        self.resize = resize
        self._device = device
        self._place = place
        # A reformatter keeps its scaling tables between pictures and belongs to one thread.
        self._local = threading.local()
        self._own = OwnInput(self._mixed)

    def __call__(self, picture: Picture) -> Prepared:
        """Resizes, converts and pads a picture.

        Args:
            picture: a decoded frame of any pixel format, or uint8 [H, W, 3] in RGB.

        Raises:
            ValueError: the array is not uint8 [H, W, 3] or has no pixel.
            ModelError: the device fails that makes the input.
        """
        if isinstance(picture, av.VideoFrame):
            geometry = self._geometry(picture.width, picture.height)
            there = None if self._device is None else self._device(picture, geometry)
            if there is not None:
                return Prepared(there, geometry)
            return Prepared(self._of_frame(picture, geometry), geometry)
        rgb = check_rgb(picture, others="an av.VideoFrame")
        geometry = self._geometry(rgb.shape[1], rgb.shape[0])
        content = resize_rgb(rgb, *geometry.content, self.resize.interpolation)
        return Prepared(_padded(content, geometry, self.resize), geometry)

    def _geometry(self, width: int, height: int) -> Geometry:
        geometry = self.resize.geometry(width, height)
        return geometry if self._place is None else self._place(geometry)

    def _of_frame(self, frame: av.VideoFrame, geometry: Geometry) -> NDArray[np.uint8]:
        if self.resize.interpolation in _MIXED and _YUV.match(frame.format.name) is not None:
            tensor, content = _blank(geometry, self.resize)
            if not self._own(frame, content):
                content[...] = self._mixed(frame, *geometry.content)
            return tensor
        return _padded(self._from_frame(frame, geometry), geometry, self.resize)

    def _from_frame(self, frame: av.VideoFrame, geometry: Geometry) -> NDArray[np.uint8]:
        interpolation = self.resize.interpolation
        width, height = geometry.content
        if interpolation in _MIXED:
            return self._convert(frame, width, height, _DIRECT)
        # The answers of such a model depend on its own resizing, which swscale does not know.
        rgb = self._convert(frame, frame.width, frame.height, _EXACT)
        return resize_rgb(rgb, width, height, interpolation)

    def _mixed(self, frame: av.VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
        full = is_full_range(frame.format.name, int(frame.color_range))
        kept = ColorRange.JPEG if full else ColorRange.MPEG
        matrix = matrix_of(frame)
        small = self._reformatter().reformat(
            frame,
            width=width,
            height=height,
            format="yuv444p",
            src_colorspace=MATRICES[matrix].swscale,
            dst_colorspace=MATRICES[matrix].swscale,
            # Rounded, not cut: else the whole is 0.2 levels too dark.
            interpolation=Swscale.AREA | Swscale.ACCURATE_RND,
            src_color_range=kept,
            dst_color_range=kept,
            threads=1,
        )
        yuv = cv2.merge([plane_view(plane) for plane in small.planes])
        rgb = cv2.transform(yuv, mixing(matrix, full))
        return np.asarray(rgb, np.uint8)

    def _reformatter(self) -> VideoReformatter:
        reformatter: VideoReformatter | None = getattr(self._local, "reformatter", None)
        if reformatter is None:
            reformatter = self._local.reformatter = VideoReformatter()
        return reformatter

    def _convert(
        self, frame: av.VideoFrame, width: int, height: int, flags: Swscale
    ) -> NDArray[np.uint8]:
        small = self._reformatter().reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            src_colorspace=None if frame.format.is_rgb else MATRICES[matrix_of(frame)].swscale,
            interpolation=flags,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )
        return plane_view(small.planes[0], channels=3)


def _padded(content: NDArray[np.uint8], geometry: Geometry, resize: Resize) -> NDArray[np.uint8]:
    """The content in an input of the geometry's size, uint8 [1, H, W, 3], C-contiguous."""
    if geometry.content == geometry.size:
        return np.ascontiguousarray(content)[None]
    tensor, inside = _blank(geometry, resize)
    inside[...] = content
    return tensor


def _blank(geometry: Geometry, resize: Resize) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """An input uint8 [1, H, W, 3] with nothing but its margins, and where the content goes."""
    width, height = geometry.size
    tensor = np.empty((1, height, width, 3), np.uint8)
    x, y = geometry.offset
    bottom, right = y + geometry.content[1], x + geometry.content[0]
    # Only the margins, so that no pixel is written twice.
    tensor[0, :y] = resize.padding
    tensor[0, bottom:] = resize.padding
    tensor[0, y:bottom, :x] = resize.padding
    tensor[0, y:bottom, right:] = resize.padding
    return tensor, tensor[0, y:bottom, x:right]
