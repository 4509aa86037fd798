"""How a colour is written as Y, U and V code values of a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.palette import Colour, linear
from stream.pictures.pixels import rgb_to_yuv
from stream.types import Array

_BT2020_PRIMARIES = 9
_PQ = 16
_HLG = 18
HDR = (_PQ, _HLG)
"""Transfer characteristics of which the encoding is of light, not of sRGB components."""

# ITU-R BT.2087-0, table 4: linear BT.709 to linear BT.2020.
_TO_BT2020 = (
    (0.6274, 0.3293, 0.0433),
    (0.0691, 0.9195, 0.0114),
    (0.0164, 0.0880, 0.8956),
)


@dataclass(frozen=True, slots=True)
class Encoding:
    """What decides the code values of a colour.

    Attributes:
        depth: bits per sample, 8..16.
        full_range: whether luma takes all codes (0..255 in 8 bits) or the limited range (16..235).
        red: weight of red in luma, K_R.
        blue: weight of blue in luma, K_B.
        transfer: H.273 TransferCharacteristics; PQ (16) and HLG (18) are honoured, the others
            take sRGB components as they are, as video does.
        primaries: H.273 ColourPrimaries; only honoured together with PQ or HLG.
    """

    depth: int
    full_range: bool
    red: float
    blue: float
    transfer: int = 2
    primaries: int = 2

    @property
    def black(self) -> int:
        """Luma code of black."""
        return 0 if self.full_range else 16 << (self.depth - 8)

    @property
    def white(self) -> int:
        """Luma code of white: 235 in 8 bits of limited range, 255 of full range."""
        return (1 << self.depth) - 1 if self.full_range else 235 << (self.depth - 8)

    @property
    def neutral(self) -> int:
        """Chroma code of grey."""
        return 1 << (self.depth - 1)

    def codes(self, colour: Colour) -> tuple[int, int, int]:
        """Y, U and V of an sRGB colour."""
        return _codes(self, colour)


@lru_cache(maxsize=1024)
def _codes(encoding: Encoding, colour: Colour) -> tuple[int, int, int]:
    # ITU-T H.273, section 8.3: equations for E'Y, E'PB, E'PR and their quantisation.
    red, green, blue = _signal(encoding, colour)
    luma = encoding.red * red + encoding.blue * blue
    luma += (1 - encoding.red - encoding.blue) * green
    difference = (
        (blue - luma) / (2 * (1 - encoding.blue)),
        (red - luma) / (2 * (1 - encoding.red)),
    )
    chroma_range = (1 << encoding.depth) - 1 if encoding.full_range else 224 << (encoding.depth - 8)
    top = (1 << encoding.depth) - 1
    return (
        round(encoding.black + luma * (encoding.white - encoding.black)),
        *(min(top, round(encoding.neutral + value * chroma_range)) for value in difference),
    )  # type: ignore[return-value]


def _signal(encoding: Encoding, colour: Colour) -> tuple[float, float, float]:
    """Non-linear R'G'B' of an sRGB colour, 0..1 each."""
    if encoding.transfer not in HDR:
        return colour[0] / 255, colour[1] / 255, colour[2] / 255
    light = [linear(value / 255) for value in colour]
    if encoding.primaries == _BT2020_PRIMARIES:
        light = [sum(w * x for w, x in zip(row, light, strict=True)) for row in _TO_BT2020]
    curve = _pq if encoding.transfer == _PQ else _hlg
    red, green, blue = (curve(value) for value in light)
    return red, green, blue


def encoded(rgb: NDArray[np.uint8], encoding: Encoding) -> list[Array]:
    """Y, U and V of a picture in sRGB, as `Encoding.codes` of each pixel, all of its size.

    Args:
        rgb: uint8 [H, W, 3].
        encoding: how colours are written.

    Returns:
        Three planes, uint8 (depth 8) or uint16 [H, W].
    """
    values = np.arange(256) / 255
    signal: Array
    if encoding.transfer in HDR:
        light: Array = np.array([linear(value) for value in values], np.float32)[rgb]
        if encoding.primaries == _BT2020_PRIMARIES:
            light = cv2.transform(light, np.array(_TO_BT2020, np.float32))
        curve = _pq if encoding.transfer == _PQ else _hlg
        # Dense where the curves are steep.
        known = np.linspace(0, 1, 4096) ** 3
        signal = np.interp(light, known, [curve(value) for value in known]).astype(np.float32)
    else:
        signal = values.astype(np.float32)[rgb]
    top = (1 << encoding.depth) - 1
    chroma = top if encoding.full_range else 224 << (encoding.depth - 8)
    scale = np.array([encoding.white - encoding.black, chroma, chroma])[:, None]
    offset = np.array([encoding.black, encoding.neutral, encoding.neutral])[:, None]
    matrix = np.hstack([rgb_to_yuv(encoding.red, encoding.blue) * scale, offset])
    found = cv2.transform(signal, matrix.astype(np.float32))
    dtype = np.uint8 if encoding.depth == 8 else np.uint16
    return [np.clip(np.rint(plane), 0, top).astype(dtype) for plane in cv2.split(found)]


def _pq(light: float) -> float:
    """SMPTE ST 2084 of light whose 1.0 is 203 cd/m2, the white of graphics in ITU-R BT.2408."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = (max(0.0, light) * 203 / 10000) ** m1
    return float(((c1 + c2 * power) / (1 + c3 * power)) ** m2)


def _hlg(light: float) -> float:
    """ITU-R BT.2100 HLG of light whose 1.0 is at signal 0.75, the white of graphics in BT.2408."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * math.log(4 * a)
    scene = max(0.0, light) * (math.exp((0.75 - c) / a) + b) / 12
    return math.sqrt(3 * scene) if scene <= 1 / 12 else a * math.log(12 * scene - b) + c
