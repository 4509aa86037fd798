"""What a photo carries beside its pixels: its colour profile and what the camera noted."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# Formats that OpenCV writes these into; versions before 4.12 know of none.
_CARRIERS = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_ORIENTATION = 0x0112

Notes = list[tuple[int, NDArray[np.uint8]]]


def notes_of(path: Path) -> Notes:
    """The colour profile and EXIF data of a picture file, upright from now on.

    XMP is not kept: it may repeat the orientation that has been carried out.
    """
    cv: Any = cv2
    if not hasattr(cv, "imdecodeWithMetadata") or not path.is_file():
        return []
    data = np.fromfile(path, np.uint8)
    try:
        # As small as can be: only the notes are wanted.
        _, kinds, blobs = cv.imdecodeWithMetadata(data, flags=cv2.IMREAD_REDUCED_COLOR_8)
    except cv2.error:
        return []
    notes: Notes = []
    for kind, blob in zip(kinds, blobs, strict=True):
        values = np.asarray(blob, np.uint8).ravel()
        if kind == cv.IMAGE_METADATA_EXIF:
            values = np.frombuffer(upright(values.tobytes()), np.uint8)
        elif kind != cv.IMAGE_METADATA_ICCP:
            continue
        notes.append((int(kind), values))
    return notes


def upright(exif: bytes) -> bytes:
    """EXIF data that says of the picture that it stands upright.

    Layout: a TIFF header, then a directory of entries of 12 bytes (TIFF 6.0, section 2).
    """
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 10:
        return exif
    patched = bytearray(exif)
    (directory,) = struct.unpack_from(order + "I", exif, 4)
    if directory + 2 > len(exif):
        return exif
    (count,) = struct.unpack_from(order + "H", exif, directory)
    for entry in range(directory + 2, min(directory + 2 + 12 * count, len(exif) - 11), 12):
        if struct.unpack_from(order + "H", exif, entry)[0] == _ORIENTATION:
            struct.pack_into(order + "H", patched, entry + 8, 1)
    return bytes(patched)


def encode(ending: str, pixels: NDArray[np.uint8], notes: Notes, options: list[int]) -> bytes:
    """A picture file's bytes.

    Args:
        ending: of the file, with its dot.
        pixels: uint8 [H, W, 3], blue, green, red.
        notes: what the file carries beside, where its format can.
        options: of `cv2.imencode`.
    """
    cv: Any = cv2
    if notes and ending in _CARRIERS:
        kinds, blobs = zip(*notes, strict=True)
        try:
            done, data = cv.imencodeWithMetadata(ending, pixels, kinds, blobs, options)
        except cv2.error:  # a profile that the format's library finds fault with
            done = False
        if done:
            return bytes(np.asarray(data, np.uint8))
    return bytes(np.asarray(cv2.imencode(ending, pixels, options)[1], np.uint8))
