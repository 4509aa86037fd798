"""Which value of a photo's samples is white, where OpenCV does not go by what the file says."""

from __future__ import annotations

import contextlib
import re
import struct

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.photo_files.photo_facts import BITS, PNG, directories, pnm_most
from stream.types import Array

_MOST_OF_16 = 65535
_PACKED = (10, 12, 14)
"""Bits of a sample of TIFF's, of which OpenCV makes 16, and no 8."""
_PHOTOMETRIC, _WHITE_IS_0 = 262, (0,)
_PLAIN = re.compile(rb"P[23]")
_UNUSED = 2
"""Upper bits of 16 without which a picture is all but black."""


def white_of(data: NDArray[np.uint8]) -> int:
    """What `in_eight_bits` is to be told of a file, uint8 [N]; 0 where OpenCV's bytes are right.

    PNM's files say it (MAXVAL), and OpenCV heeds that only where samples are text and are bytes.
    """
    most = pnm_most(data[:4096].tobytes())
    if most in (0, 255, _MOST_OF_16):
        packed = most == 0 and any(bits in _PACKED for bits in _tiff_bits(data))
        return _MOST_OF_16 if packed else 0
    return 0 if most < 255 and _PLAIN.match(data[:2].tobytes()) else most


def in_eight_bits(data: NDArray[np.uint8], white: int) -> NDArray[np.uint8] | None:
    """The colours of a file of which `white` is white.

    Returns:
        uint8 [H, W, 3], blue, green, red; None where it cannot be read.
    """
    samples: Array | None = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if samples is None:
        return None
    table = np.rint(np.arange(1 << 8 * samples.itemsize) * (255 / white)).clip(0, 255)
    if (_tiff_tags(data) or {}).get(_PHOTOMETRIC) == _WHITE_IS_0:
        table = 255 - table
    return np.asarray(table.astype(np.uint8)[samples])


def leaves_upper_bits(data: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> bool:
    """Whether a picture of 16 bits a sample uses the lower 14 alone, or fewer.

    Cameras of 10, 12 or 14 bits write so. PNG's sBIT cannot tell, as by its standard those bits are
    the upper ones, nor TIFF's MaxSampleValue, which is not to change how a picture looks.

    Args:
        data: the file, uint8 [N].
        pixels: its upper eight bits, uint8 [H, W, ...].
    """
    head = data[:26].tobytes()
    deep = head[24:25] == b"\x10" if head.startswith(PNG) else 16 in _tiff_bits(data)
    low = 256 >> _UNUSED
    # Of nearly all others a sixty-fourth of the pixels shows that they are no such pictures.
    return deep and int(pixels[::8, ::8].max()) < low and 0 < int(pixels.max()) < low


def _tiff_bits(data: NDArray[np.uint8]) -> tuple[int, ...]:
    """Bits of each sample of a TIFF's first picture; none of other files."""
    tags = _tiff_tags(data)
    return () if tags is None else tags.get(BITS, (1,))


def _tiff_tags(data: NDArray[np.uint8]) -> dict[int, tuple[int, ...]] | None:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4].tobytes())
    if order is not None:
        with contextlib.suppress(struct.error):
            return next(iter(directories(data.data, order)), {})
    return None
