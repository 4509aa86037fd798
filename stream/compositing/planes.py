"""A picture's planes as arrays, and blending into them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import av
import cv2
import numpy as np
from av.video.plane import VideoPlane
from numpy.typing import NDArray

from stream.compositing.encoding import Encoding
from stream.kernels import compiled
from stream.pictures.pixels import is_full_range, layout, matrix_weights, plane_view
from stream.roi import Window
from stream.types import Array

Samples = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class Planes:
    """Views of a picture's memory; writing to them paints the picture.

    Attributes:
        planes: the picture's own.
        steps: rows and columns of luma per sample of each plane, (1, 1) for Y.
        encoding: how colours are written.
    """

    planes: tuple[VideoPlane, ...]
    steps: tuple[tuple[int, int], ...]
    encoding: Encoding

    @cached_property
    def samples(self) -> tuple[Samples, ...]:
        """Y, or Y, U and V: uint8 (8 bits) or uint16 (more) of each plane's size."""
        return tuple([plane_view(plane, self.encoding.depth) for plane in self.planes])

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """What compiled loops ask of each plane, int64 [P, 4], in less time than arrays take.

        Where in memory its samples begin, how many bytes its rows lie apart, and its `steps`.
        """
        each = zip(self.planes, self.steps, strict=True)
        return np.array([(one.buffer_ptr, one.line_size, *step) for one, step in each], np.int64)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        luma = self.planes[0]
        return luma.height, luma.width

    @property
    def narrow(self) -> bool:
        """Whether samples are bytes."""
        return self.encoding.depth == 8

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of luma that share one chroma sample."""
        return self.steps[-1]


def writable_planes(picture: av.VideoFrame, encoding: Encoding | None = None) -> Planes:
    """Makes a picture writable, which copies it where the decoder still needs it, and views it.

    The views must not be kept beyond the picture's next change of hands.

    Args:
        picture: that is painted on.
        encoding: how colours are written in it, where that is known already.

    Raises:
        ValueError: the picture is not planar little-endian YUV or grey of 8 to 16 bits.
    """
    _, steps = layout(picture.format.name)
    picture.make_writable()
    return Planes(picture.planes, steps, encoding_of(picture) if encoding is None else encoding)


def readable_planes(picture: av.VideoFrame) -> Planes:
    """Views a picture that others may hold too: its samples must not be written to.

    Raises:
        ValueError: the picture is not planar little-endian YUV or grey of 8 to 16 bits.
    """
    _, steps = layout(picture.format.name)
    return Planes(picture.planes, steps, encoding_of(picture))


def encoding_of(picture: av.VideoFrame) -> Encoding:
    """How colours are written in a picture, by its format and its colour tags.

    Untagged YUV is limited range, untagged grey and the yuvj formats are full range.
    """
    return _encoding(
        picture.format.name,
        picture.color_range,
        picture.colorspace,
        (picture.width, picture.height),
        picture.color_trc,
        picture.color_primaries,
    )


@lru_cache(maxsize=64)
def _encoding(
    name: str, tagged: int, matrix: int, size: tuple[int, int], transfer: int, primaries: int
) -> Encoding:
    depth, _ = layout(name)
    red, blue = matrix_weights(matrix, *size)
    return Encoding(depth, is_full_range(name, tagged), red, blue, transfer, primaries)


def blend(samples: Samples, alpha: NDArray[np.uint8], value: int) -> None:
    """Blends one code value into a part of a plane, in place: samples + alpha * (value - samples).

    Args:
        samples: a part of a plane; exactly unchanged where alpha is 0.
        alpha: uint8 of the same size, 0 (as it was) to 255 (the value).
        value: the code value.
    """
    blend_around(samples, np.asarray(cv2.bitwise_not(alpha), np.uint8), value)


def blend_around(
    samples: Samples,
    keep: NDArray[np.uint8],
    value: int,
    scratch: NDArray[np.uint8] | None = None,
) -> None:
    """The same by how much stays.

    Args:
        samples: a part of a plane; exactly unchanged where it stays.
        keep: uint8 of the same size, 255 (as it was) to 0 (the value).
        value: the code value.
        scratch: uint8 of the same size, contiguous, for what is made on the way.
    """
    if samples.dtype == np.uint8:
        kernels = compiled()
        if kernels is not None and keep.strides[1] == 1:
            kernels.blend(np.asarray(samples, np.uint8), keep, value)
            return
        added: Array = cv2.convertScaleAbs(keep, dst=scratch, alpha=-value / 255, beta=value)
        if samples.strides[0] > 0:
            cv2.multiply(samples, keep, dst=samples, scale=1 / 255)
            cv2.add(samples, added, dst=samples)
        else:
            blend_prepared(samples, keep, added)
    else:
        # Products stay below 2^24, so float32 arithmetic inside OpenCV is exact.
        wide: Array = keep.astype(np.uint16)
        blend_prepared(samples, wide, cv2.addWeighted(wide, -value / 255, wide, 0, value))


def blend_shares(
    samples: Samples,
    shares: NDArray[np.uint16],
    value: int,
    scratch: NDArray[np.uint16],
) -> None:
    """The same in eight bits, rounded once, in two thirds of the time.

    In sixteen bits a product may go over, but what is added takes it back, as differences there
    are exact but for multiples of 65536 and the sum is none.

    Args:
        samples: uint8, a part of a plane; exactly unchanged where it stays.
        shares: uint16 of the same size, 256 (as it was) to 0 (the value).
        value: the code value.
        scratch: uint16 of the same size.
    """
    low, high = _operands(value)
    scratch[...] = samples
    np.subtract(scratch, low, scratch)
    np.multiply(scratch, shares, scratch)
    np.add(scratch, high, scratch)
    np.right_shift(scratch, _BYTE, scratch)
    samples[...] = scratch


@lru_cache(maxsize=256)
def _operands(value: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    # NumPy takes arrays as they are, and makes one of a number at each call.
    return np.array(value, np.uint16), np.array(256 * value + 128, np.uint16)


_BYTE = np.array(8, np.uint16)


def blend_prepared(samples: Samples, keep: Array, added: Array) -> None:
    """Blends a prepared image into a part of a plane, in place: samples * keep / 255 + added.

    Args:
        samples: a part of a plane.
        keep: uint8, or of the samples' type, of the same size, 255 where they stay as they were.
        added: of the samples' type and size: code values times 255 - keep, over 255.
    """
    if keep.dtype != samples.dtype:
        keep = keep.astype(samples.dtype)
    if samples.strides[0] > 0:
        cv2.multiply(samples, keep, dst=samples, scale=1 / 255)
        cv2.add(samples, added, dst=samples)
    else:  # A picture that lies upside down in memory, which OpenCV cannot write to.
        samples[...] = cv2.add(cv2.multiply(samples, keep, scale=1 / 255), added)


def put(samples: Samples, other: Samples, where: NDArray[np.uint8]) -> None:
    """Puts others in the place of a part of a plane, in place.

    Args:
        samples: a part of a plane.
        other: of their size and kind.
        where: uint8 of their size, 255 where they are put, else 0.
    """
    if samples.strides[0] > 0:
        cv2.copyTo(other, where, samples)  # many times as fast as numpy.copyto
    else:  # A picture that lies upside down in memory, which OpenCV cannot write to.
        np.copyto(samples, other, where=where > 0)


def part(samples: Samples, step: tuple[int, int], window: Window) -> Samples:
    """The part of a plane under a window of the picture that starts on the plane's grid."""
    top, bottom, left, right = window_of(window, step)
    return samples[top:bottom, left:right]


def window_of(window: Window, step: tuple[int, int]) -> Window:
    """Where in a plane a window of the picture lies that starts on the plane's grid."""
    top, bottom, left, right = window
    rows, columns = step
    return top // rows, -(-bottom // rows), left // columns, -(-right // columns)


def shrink_to(image: Samples, size: tuple[int, int]) -> Samples:
    """Averages an image to a smaller one, by about a code value's accuracy.

    Halving is many times as fast as averaging over any other area, so it is halved first.

    Args:
        image: uint8 or uint16 [H, W].
        size: width and height; in neither larger than the image.
    """
    height, width = image.shape
    shrunk: Array = image
    while height % 2 == 0 and width % 2 == 0 and height >= 2 * size[1] and width >= 2 * size[0]:
        height, width = height // 2, width // 2
        shrunk = cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_AREA)
    if (width, height) != size:
        shrunk = cv2.resize(shrunk, size, interpolation=cv2.INTER_AREA)
    return shrunk
