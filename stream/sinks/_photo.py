"""What a photo carries beside its pixels: its colour profile and what the camera noted."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.photo_files import heif
from stream.sinks._exif import says_where, upright
from stream.sinks._tiff_notes import notes_in
from stream.system.overheard import overheard
from stream.types import Array

# Formats that OpenCV writes these into; versions before 4.12 know of none.
CARRIERS = frozenset({".jpg", ".jpeg", ".png", ".webp"})
# One way to foretell a row, by the one above, not five tried for each: less than half of the time
# for files 1% larger in the mean of 36 pictures. Versions before 4.12 try all.
PNG = (
    (cv2.IMWRITE_PNG_COMPRESSION, 2, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP)
    if hasattr(cv2, "IMWRITE_PNG_FILTER")
    else (cv2.IMWRITE_PNG_COMPRESSION, 3)
)
"""How OpenCV is to write PNG."""
_TIFF = (".tif", ".tiff")
_EXTRA_SAMPLES, _SHORT = 338, 3
# Pixels a side: WebP's fields have 14 bits, GIF's 16, the JPEG library stops short of its 16.
_MOST = {".webp": 16383, ".gif": 65535, ".jpg": 65500, ".jpeg": 65500}
# Where an ICC profile says which colours it is for (ICC.1, 7.2.6), and ours.
_SPACE, _RGB = slice(16, 20), b"RGB "

Notes = list[tuple[int, NDArray[np.uint8]]]


def notes_of(path: Path, *, conceals: bool = False) -> Notes:
    """The colour profile (for RGB) and EXIF data of a picture file, upright from now on.

    Args:
        path: of the picture.
        conceals: whether nothing of the picture as it was may be seen in them.
    """
    if not hasattr(cv2, "imdecodeWithMetadata") or not path.is_file():
        return []
    notes: Notes = []
    for kind, blob in _stored_notes(np.fromfile(path, np.uint8)):
        if kind == cv2.IMAGE_METADATA_EXIF:
            values = np.frombuffer(upright(blob, conceals=conceals), np.uint8)
            if not len(values):
                continue
        elif kind != cv2.IMAGE_METADATA_ICCP or blob[_SPACE] != _RGB:
            continue  # grey's and CMYK's profiles are untrue of the RGB picture that is written
        else:
            values = np.frombuffer(blob, np.uint8)
        notes.append((kind, values))
    return notes


def _notes(exif: bytes, icc: bytes) -> list[tuple[int, bytes]]:
    both = ((cv2.IMAGE_METADATA_EXIF, exif), (cv2.IMAGE_METADATA_ICCP, icc))
    return [(kind, blob) for kind, blob in both if blob]


def _stored_notes(data: NDArray[np.uint8]) -> list[tuple[int, bytes]]:
    """What a file holds beside its picture, as it is there."""
    if data[4:8].tobytes() == b"ftyp":  # of which OpenCV reads little
        told = heif.beside(data.tobytes())
        return _notes(told.exif, told.icc)
    if data[:4].tobytes() in (b"II*\0", b"MM\0*"):
        return _notes(*notes_in(data.tobytes()))
    try:
        # As small as can be: only the notes are wanted.
        with overheard():  # whoever reads the picture is told
            _, kinds, blobs = cv2.imdecodeWithMetadata(data, flags=cv2.IMREAD_REDUCED_COLOR_8)
    except cv2.error:
        return []
    return [
        (int(kind), np.asarray(blob, np.uint8).tobytes())
        for kind, blob in zip(kinds, blobs, strict=True)
    ]


def say_where(notes: Notes) -> bool:
    """Whether they say where a photo was taken."""
    return any(
        kind == cv2.IMAGE_METADATA_EXIF and says_where(values.tobytes()) for kind, values in notes
    )


def why_too_large(ending: str, width: int, height: int) -> str | None:
    """Why a format does not hold a picture of this size, None if it does."""
    most = _MOST.get(ending)
    if most is None or max(width, height) <= most:
        return None
    return f"{ending} holds at most {most} pixels a side, not {width}x{height}; .png holds more"


def encode(ending: str, pixels: Array, notes: Notes, options: list[int]) -> bytes:
    """A picture file's bytes, never none.

    Args:
        ending: of the file, with its dot.
        pixels: uint8 [H, W, 3], blue, green, red, or [H, W, 4] with opacity, or
            uint16 [H, W], grey.
        notes: what the file carries beside, where its format can.
        options: of `cv2.imencode`.

    Raises:
        ValueError: the format does not hold the picture; the message says why.
    """
    height, width = pixels.shape[:2]
    if (why := why_too_large(ending, width, height)) is not None:
        raise ValueError(why)
    try:
        if notes and ending in CARRIERS:
            kinds, blobs = zip(*notes, strict=True)
            try:
                done, data = cv2.imencodeWithMetadata(ending, pixels, kinds, blobs, options)
            except cv2.error:  # a profile that the format's library finds fault with
                done = False
            if done and len(data):
                return bytes(np.asarray(data, np.uint8))
        done, data = cv2.imencode(ending, pixels, options)
    except cv2.error as error:
        raise ValueError(f"it cannot be encoded as {ending} ({error.err})") from error
    if not done or not len(data):
        raise ValueError(f"{ending} does not hold a picture of {width}x{height}")
    found = bytes(np.asarray(data, np.uint8))
    return with_opacity(found) if pixels.shape[2:] == (4,) and ending in _TIFF else found


def with_opacity(tiff: bytes) -> bytes:
    """A TIFF file that says of its fourth sample that it is opacity, and colours straight.

    OpenCV writes four samples and does not say what the fourth is, so that many programs take it
    for nothing (TIFF 6.0, section 18, ExtraSamples 2). The directory is written anew behind all
    else.
    """
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2], "<")
    (place,) = struct.unpack_from(order + "I", tiff, 4)
    (count,) = struct.unpack_from(order + "H", tiff, place)
    first, last = place + 2, place + 2 + 12 * count
    entries = {
        struct.unpack_from(order + "H", tiff, at)[0]: tiff[at : at + 12]
        for at in range(first, last, 12)
    }
    entries[_EXTRA_SAMPLES] = struct.pack(order + "HHIHH", _EXTRA_SAMPLES, _SHORT, 1, 2, 0)
    filled = tiff + bytes(len(tiff) % 2)  # A directory begins at an even place.
    directory = struct.pack(order + "H", len(entries)) + b"".join(
        entries[tag] for tag in sorted(entries)
    )
    head = tiff[:4] + struct.pack(order + "I", len(filled))
    return head + filled[8:] + directory + tiff[last : last + 4]
