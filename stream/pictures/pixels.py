"""Pixel formats, planes as arrays and colour matrices: asked by all rooms, answered here."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Final, NamedTuple, TypeVar

import av
import cv2
import numpy as np
from av.video.format import VideoFormat
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from stream.kernels import compiled
from stream.kernels.exact import SHARE
from stream.pictures.references import Referencer
from stream.pictures.scaler import Scaler
from stream.types import Array

Sample = TypeVar("Sample", np.uint8, np.uint16, np.float32)

_PAINTABLE = re.compile(r"gray|yuvj?4[0-4][0-4]p|(gray|yuv4[0-4][0-4]p)(9|10|12|14|16)le")

EXACT_RGB: Final = "yuv444p10le"
"""The pixel format that gives 8-bit RGB back exactly; see `picture_from_bgr`."""
EXACT_MATRIX: Final = 5
"""The matrix of ITU-T H.273 that such pictures are in: BT.601, as in JPEG."""
_ROWS = 256
_SAMPLES = (np.dtype(np.uint8), np.dtype(np.uint16))


def shown_size(width: int, height: int, shape: Fraction) -> tuple[int, int]:
    """Width and height in square pixels of a picture whose samples have a shape of their own."""
    return max(1, round(width * shape)), height


class Matrix(NamedTuple):
    """How luma and chroma are made of red, green and blue.

    Attributes:
        red: weight of red in luma, K_R.
        blue: weight of blue in luma, K_B.
        swscale: what swscale calls it.
    """

    red: float
    blue: float
    swscale: Colorspace


_BT601 = Matrix(0.299, 0.114, Colorspace.ITU601)
_BT2020 = Matrix(0.2627, 0.0593, Colorspace.BT2020)
MATRICES: Final = {
    1: Matrix(0.2126, 0.0722, Colorspace.ITU709),
    4: Matrix(0.30, 0.11, Colorspace.FCC),
    5: _BT601,  # 625 lines
    6: _BT601,  # 525 lines
    7: Matrix(0.212, 0.087, Colorspace.SMPTE240M),
    9: _BT2020,
    10: _BT2020,  # constant luminance, near enough for painting and for a model
}
"""By H.273 MatrixCoefficients."""


_UNSAID = 2
_TAKEN = frozenset({0, 1, 2, 4, 5, 6, 7, 9})
"""Those that swscale does not refuse."""
_NEAR = {10: 9, 14: 9}


def readable_matrix(matrix: int) -> int:
    """A colour tag that swscale takes (H.273): this one, or what comes nearest.

    That is BT.2020's for its constant luminance and for ICtCp, and "unspecified" for YCgCo and
    others that are hardly ever seen.
    """
    return matrix if matrix in _TAKEN else _NEAR.get(matrix, 2)


@functools.cache
def paintable(name: str) -> bool:
    """Whether pictures of a pixel format can be painted: planar YUV or grey, 8 to 16 bits."""
    return _PAINTABLE.fullmatch(name) is not None


def has_alpha(pixel_format: VideoFormat) -> bool:
    """Whether pictures of a pixel format say how opaque they are."""
    return any(component.is_alpha for component in pixel_format.components)


@functools.cache
def layout(name: str) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Bits per sample of a pixel format, and rows and columns of luma per sample of each plane.

    Raises:
        ValueError: it is not planar little-endian YUV or grey of 8 to 16 bits.
    """
    if not paintable(name):
        raise ValueError(f"cannot paint into {name} pictures, only into planar YUV of 8 to 16 bits")
    parts = av.VideoFormat(name, 64, 64).components
    steps = tuple((64 // component.height, 64 // component.width) for component in parts)
    return parts[0].bits, steps


def is_full_range(name: str, tagged: int) -> bool:
    """Whether codes use all of their range, by a pixel format's name and a picture's tag (H.273).

    Untagged YUV is limited range, untagged grey and the yuvj formats are full range.
    """
    if name.startswith("gray"):
        return tagged != ColorRange.MPEG
    return tagged == ColorRange.JPEG or name.startswith("yuvj")


def reduce_to(image: NDArray[Sample], step: tuple[int, int]) -> NDArray[Sample]:
    """Averages an image of the luma plane's resolution to a plane that has fewer samples.

    A last odd row or column counts as if repeated, as it does in chroma of an odd-sized picture.
    """
    if step == (1, 1):
        return image
    rows, columns = step
    height, width = image.shape
    below, beside = -height % rows, -width % columns
    if below or beside:
        image = np.pad(image, ((0, below), (0, beside)), mode="edge")
    size = (image.shape[1] // columns, image.shape[0] // rows)
    small: Array = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, image.dtype)


def bytes_of(picture: av.VideoFrame) -> int:
    """How much memory a picture takes."""
    return sum(plane.buffer_size for plane in picture.planes)


def plane_view(plane: VideoPlane, depth: int = 8, channels: int = 1) -> Array:
    """The samples of one plane without padding, on the picture's own memory.

    Args:
        plane: also of a picture that lies upside down in memory (a negative line size).
        depth: bits per sample, 8 to 16, in whole bytes of the machine's order.
        channels: samples that stand together for one pixel, 3 in rgb24.

    Returns:
        uint8 (depth 8) or uint16 (more) [height, width], or [height, width, channels].
    """
    # PyAV's types do not say so before Python 3.12, but planes are buffers.
    kind = _SAMPLES[depth > 8]
    high, wide, size = plane.height, plane.width * channels, kind.itemsize
    stride = plane.line_size
    start = 0 if stride > 0 else -stride * (high - 1)
    samples: Array = np.ndarray((high, wide), kind, plane, start, (stride, size))  # type: ignore[arg-type]
    return samples if channels == 1 else samples.reshape(high, plane.width, channels)


def matrix_weights(matrix: int, width: int, height: int) -> tuple[float, float]:
    """Weights of red and blue in luma by the colour tag, as `known_matrix` has it."""
    known = MATRICES[known_matrix(matrix, width, height)]
    return known.red, known.blue


def known_matrix(matrix: int, width: int, height: int) -> int:
    """By what a picture's samples mean colours: one of `MATRICES`, in H.273's numbers.

    Where the tag says nothing that we know, players guess by size, and so do we: high definition
    is BT.709, anything smaller is BT.601.

    Args:
        matrix: the tag, H.273's MatrixCoefficients.
        width: of the picture as it was stored, in pixels.
        height: likewise.
    """
    if matrix in MATRICES:
        return matrix
    return 1 if width >= 1280 or height > 576 else 6


def matrix_of(picture: av.VideoFrame) -> int:
    """`known_matrix` of a picture that is YUV."""
    return known_matrix(int(picture.colorspace), picture.width, picture.height)


def rgb_to_yuv(red: float, blue: float) -> NDArray[np.float64]:
    """E'Y, E'PB and E'PR (rows) of R', G' and B' (columns), by H.273's equations: [3, 3]."""
    luma = np.array([red, 1 - red - blue, blue])
    return np.stack(
        [
            luma,
            (np.array([0, 0, 1]) - luma) / (2 * (1 - blue)),
            (np.array([1, 0, 0]) - luma) / (2 * (1 - red)),
        ]
    )


@functools.cache
def yuv_to_rgb(red: float, blue: float, *, full_range: bool) -> NDArray[np.float32]:
    """What OpenCV's `transform` makes 8-bit RGB of 8-bit Y, Cb and Cr with: float32 [3, 4].

    Args:
        red: weight of red in luma, K_R.
        blue: weight of blue in luma, K_B.
        full_range: samples from 0 to 255; else luma 16 to 235 and chroma 16 to 240 (H.273).
    """
    luma, chroma, least = (255.0, 255.0, 0.0) if full_range else (219.0, 224.0, 16.0)
    mixed = 255 * np.linalg.inv(rgb_to_yuv(red, blue)) / np.array([luma, chroma, chroma])
    shift = -mixed @ np.array([least, 128.0, 128.0])
    return np.hstack([mixed, shift[:, None]]).astype(np.float32)


@functools.cache
def mixing(matrix: int, full_range: bool) -> NDArray[np.float32]:
    """`yuv_to_rgb` by one of `MATRICES`, in H.273's numbers."""
    known = MATRICES[matrix]
    return yuv_to_rgb(known.red, known.blue, full_range=full_range)


def picture_from_bgr(pixels: NDArray[np.uint8]) -> av.VideoFrame:
    """8-bit colours as a picture in YUV that gives every one of them back exactly.

    That is full-range 4:4:4 with 10 bits: a step of an 8-bit colour is four steps of luma, so
    rounding never reaches half a step of any colour (all 2^24 colours are tested). FFmpeg's own
    conversion loses up to one step even with 16 bits.

    Args:
        pixels: uint8 [H, W, 3], blue, green, red.
    """
    height, width = pixels.shape[:2]
    picture = av.VideoFrame(width, height, EXACT_RGB)
    planes = [plane_view(plane, 10) for plane in picture.planes]
    loops, weights = compiled(), _exact_weights()[0]
    if loops is not None and pixels.strides[1:] == (3, 1):
        loops.deepened(pixels, weights, planes)
    else:
        for rows in _bands(height):
            band = _exactly_mixed(pixels[rows], weights, 1023)
            for plane, values in zip(planes, cv2.split(band.astype(np.uint16)), strict=True):
                plane[rows] = values
    picture.colorspace, picture.color_range = EXACT_MATRIX, int(ColorRange.JPEG)
    return picture


def bgr_from_picture(picture: av.VideoFrame) -> NDArray[np.uint8]:
    """The picture's colours, uint8 [H, W, 3], blue, green, red.

    What `picture_from_bgr` made comes back exactly; other pictures are converted by FFmpeg, where
    no matrix is told by the one that `matrix_weights` takes.
    """
    exact = picture.format.name == EXACT_RGB and picture.color_range == ColorRange.JPEG
    if not exact or picture.colorspace not in (5, 6):
        # While it converts, PyAV changes the tags of the picture that it is given.
        source = Referencer()(picture)
        made = Scaler()(source, pixel_format="bgr24", src_colorspace=told_matrix(source))
        return made.to_ndarray().astype(np.uint8, copy=False)
    planes = [plane_view(plane, 10) for plane in picture.planes]
    pixels = np.empty((picture.height, picture.width, 3), np.uint8)
    loops, weights = compiled(), _exact_weights()[1]
    if loops is not None:
        loops.flattened(planes, weights, pixels)
    else:
        for rows in _bands(picture.height):
            pixels[rows] = _exactly_mixed(
                cv2.merge([plane[rows] for plane in planes]), weights, 255
            )
    return pixels


@functools.cache
def _exact_weights() -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """How exact planes are made of blue, green and red, and these of them: int32 [3, 4] each.

    In `SHARE`ths, the last of what is added: whole numbers, which are summed alike everywhere.
    """
    forward = rgb_to_yuv(_BT601.red, _BT601.blue)[:, ::-1] * (1023 / 255)
    backward = np.linalg.inv(rgb_to_yuv(_BT601.red, _BT601.blue))[::-1] * (255 / 1023)
    there = np.hstack([forward, [[0.5], [512.5], [512.5]]])
    back = np.hstack([backward, 0.5 - backward @ np.array([[0], [512], [512]])])
    whole = [np.rint(SHARE * weights).astype(np.int32) for weights in (there, back)]
    return whole[0], whole[1]


def _exactly_mixed(pixels: Array, weights: NDArray[np.int32], most: int) -> NDArray[np.float64]:
    """As the compiled loops mix three samples [H, W, 3]; in doubles, which hold all of the sums."""
    sums = cv2.transform(pixels.astype(np.float64), weights.astype(np.float64))
    return np.clip(np.floor(sums / SHARE), 0, most)


def _bands(height: int) -> Iterator[slice]:
    """Some rows after the others, so that a large photo costs no multiple of itself in memory."""
    return (slice(top, top + _ROWS) for top in range(0, height, _ROWS))


def told_matrix(picture: av.VideoFrame) -> Colorspace | None:
    """What swscale is to be told of a picture's matrix, which takes BT.601 where none is named."""
    if picture.colorspace != _UNSAID or picture.format.is_rgb:
        return None
    return MATRICES[matrix_of(picture)].swscale


def rgb_from_picture(picture: av.VideoFrame) -> NDArray[np.uint8]:
    """As `bgr_from_picture`, uint8 [H, W, 3], red, green, blue."""
    return np.asarray(cv2.cvtColor(bgr_from_picture(picture), cv2.COLOR_BGR2RGB), np.uint8)


def video_picture(rgb: NDArray[np.uint8]) -> av.VideoFrame:
    """An RGB picture as video players everywhere take it: yuv420p, limited range, tagged.

    The matrix is BT.709 from 720 rows on and BT.601 below, which is what players take for granted
    where they read no tags.

    Args:
        rgb: uint8 [H, W, 3].
    """
    matrix = Colorspace.ITU709 if rgb.shape[0] >= 720 else Colorspace.ITU601
    picture = Scaler()(
        av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24"),
        pixel_format="yuv420p",
        dst_colorspace=matrix,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
    )
    code = 1 if matrix is Colorspace.ITU709 else 6
    picture.colorspace, picture.color_range = code, ColorRange.MPEG
    picture.color_primaries = picture.color_trc = code
    return picture


def tagged(made: av.VideoFrame, picture: av.VideoFrame) -> av.VideoFrame:
    """A picture that was made of another, with that one's time and colour tags."""
    made.pts, made.duration = picture.pts, picture.duration
    if picture.time_base is not None:
        made.time_base = picture.time_base
    made.colorspace, made.color_range = picture.colorspace, picture.color_range
    made.color_primaries, made.color_trc = picture.color_primaries, picture.color_trc
    return made
