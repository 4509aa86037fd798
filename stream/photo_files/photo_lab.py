"""TIFFs of CIE L*a*b*, as scanners and printing houses write them, in a screen's colours."""

from __future__ import annotations

import struct

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.photo_files.photo_facts import unmultiplied
from stream.types import Array

_PHOTOMETRIC, _SAMPLES = 262, 277
_GREY, _RGB = 1, 2
_CIE, _ICC = 8, 9
"""TIFF 6.0, section 23, and Adobe's notes on TIFF: a* and b* are signed, or 128 is their 0."""

# ICC's white (D50), to which such samples refer, and XYZ under it of a screen's linear red, green
# and blue: IEC 61966-2-1's primaries behind Bradford's way from D65 to D50.
_WHITE = np.array([0.96422, 1.0, 0.82521])
_TO_XYZ = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
_TO_RGB = np.linalg.inv(_TO_XYZ)
# So many rows are worked on at once: in float64 a whole scan would take much memory.
_ROWS = 256


def is_lab(data: NDArray[np.uint8]) -> bool:
    """Whether a file, uint8 [N], is a TIFF whose first picture is CIE L*a*b*."""
    return _kind(data) is not None


def lab_in_bytes(data: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """The colours of a TIFF of L*a*b* as they are on a screen (CIE 15, IEC 61966-2-1).

    libtiff leaves the white of prints as it is, which is yellow on a screen: here white is white.

    Args:
        data: the file, uint8 [N], of which `is_lab` is true.

    Returns:
        uint8 [H, W, 3], blue, green, red; None where it cannot be read.

    Raises:
        cv2.error: it is damaged.
    """
    found = _kind(data)
    if found is None:
        return None
    order, place, kind, channels = found
    plain = unmultiplied(data).copy()
    # Of samples that are said to be red, green and blue nothing is made.
    said = _RGB if channels >= 3 else _GREY
    plain[place : place + 2] = np.frombuffer(struct.pack(f"{order}H", said), np.uint8)
    stored: Array | None = cv2.imdecode(plain, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if stored is None or stored.dtype not in (np.uint8, np.uint16):
        return None
    samples = stored[..., ::-1]
    pixels = np.empty(samples.shape, np.uint8)
    for top in range(0, len(samples), _ROWS):
        lab = _lab(samples[top : top + _ROWS], kind)
        if channels < 3:
            lab[..., 1:] = 0
        pixels[top : top + _ROWS] = _screen(lab)[..., ::-1]
    return pixels


def _kind(data: NDArray[np.uint8]) -> tuple[str, int, int, int] | None:
    """Of a TIFF of L*a*b*: byte order, where the kind is written, the kind, samples a pixel."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4].tobytes())
    if order is None:
        return None
    where, kind, channels, view = 0, 0, 1, data.data
    try:
        (at,) = struct.unpack_from(f"{order}I", view, 4)
        (count,) = struct.unpack_from(f"{order}H", view, at)
        for place in range(at + 2, at + 2 + 12 * count, 12):
            tag, value = struct.unpack_from(f"{order}H6xH", view, place)
            if tag == _PHOTOMETRIC:
                where, kind = place + 8, value
            elif tag == _SAMPLES:
                channels = value
    except struct.error:  # cut short or damaged: its reader says so
        return None
    return (order, where, kind, channels) if kind in (_CIE, _ICC) else None


def _lab(samples: NDArray[np.unsignedinteger], kind: int) -> NDArray[np.float64]:
    """L*, 0 to 100, a* and b* of stored samples, uint8 or uint16 [H, W, 3]; float64."""
    deep = samples.dtype == np.uint16
    signed: Array = samples[..., 1:]
    if kind == _CIE:
        signed = samples.view(np.int16 if deep else np.int8)[..., 1:]
        white, offset = (65535 if deep else 255), 0
    else:
        white, offset = (65280 if deep else 255), 128
    lightness = samples[..., :1] * (100 / white)
    colour = signed.astype(np.float64) / (256 if deep else 1) - offset
    return np.concatenate([lightness, colour], -1)


def _screen(lab: NDArray[np.float64]) -> NDArray[np.uint8]:
    """L*a*b* under D50, [H, W, 3], as red, green and blue of sRGB; what lies outside is cut off."""
    y = (lab[..., 0] + 16) / 116
    parts = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], -1)
    # CIE 15: below a threshold the cube becomes a line.
    xyz = _WHITE * np.where(parts > 6 / 29, parts**3, 3 * (6 / 29) ** 2 * (parts - 4 / 29))
    linear = (xyz @ _TO_RGB.T).clip(0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * curved), np.uint8)
