"""A photo's file as it is to be seen: upright, with its transparency where it lies."""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Iterator, Sequence

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from stream.photo_files.heif import to_be_seen, whole_of
from stream.photo_files.photo_facts import PFM, directories, segments
from stream.photo_files.photo_lab import is_lab, lab_in_bytes
from stream.photo_files.photo_range import in_eight_bits, white_of
from stream.pictures.pixels import readable_matrix
from stream.pictures.scaler import Scaler
from stream.system.overheard import overheard
from stream.types import Array

_ORIENTATION, _BITS, _SAMPLE_FORMAT = 274, 258, 339
_CONSTANT_LUMINANCE = 10
_FLOATS = "floating-point numbers"
_KINDS = {1: "whole numbers", 2: "signed whole numbers", 3: _FLOATS}
"""By TIFF's SampleFormat."""
_MOST_OF_32 = (1 << 32) - 1
_PICTURES = frozenset({b"mif1", b"mif2", b"miaf", b"heic", b"heix", b"heim", b"heis", b"avif"})
"""Brands of files that hold pictures."""
_MOST_BRANDS = 256
# By orientation: whether rows, and columns, come in reverse, once those from 5 on are exchanged.
_REVERSED = (
    *((False, False), (False, False), (False, True), (True, True), (True, False)),
    *((False, False), (False, True), (True, True), (True, False)),
)
_UPRIGHT, _EXCHANGED, _MIRRORED = 1, range(5, 9), frozenset({2, 4, 5, 7})
_APP1, _EXIF = 0xE1, b"Exif\0\0"


def colours_of(data: NDArray[np.uint8], how: int = cv2.IMREAD_COLOR) -> Array | None:
    """A picture as it is to be seen.

    OpenCV goes by EXIF data, which say nothing of HEIF's files.

    Args:
        data: the file, uint8 [N].
        how: OpenCV's flags.

    Returns:
        [H, W, 3], blue, green, red; uint8 where the flags do not say otherwise. None where it
        cannot be read.

    Raises:
        cv2.error: it is damaged.
        ValueError: its samples are numbers of which nobody knows what is white.
    """
    if how == cv2.IMREAD_COLOR and is_lab(data):
        return lab_in_bytes(data)
    if how == cv2.IMREAD_COLOR and (white := white_of(data)):
        return in_eight_bits(data, white)
    if how == cv2.IMREAD_COLOR and (kind := _numbers(data)):
        return _in_bytes(data, kind)
    if not is_heif(data):
        return cv2.imdecode(data, how)
    pixels: Array | None = cv2.imdecode(data, how | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        return None
    return np.ascontiguousarray(to_be_seen(data.tobytes(), pixels))


def _numbers(data: NDArray[np.uint8]) -> str:
    """What the samples of a picture are, where OpenCV makes no colours of them; "" where it does.

    PFM's are floats, and of TIFF's those that measure something.
    """
    head = data[:4].tobytes()
    if head[:3] in PFM:
        return _FLOATS
    if head not in (b"II*\0", b"MM\0*"):
        return ""
    with contextlib.suppress(struct.error):
        for tags in directories(data.tobytes(), "<" if head[:1] == b"I" else ">"):
            bits = max(tags.get(_BITS, (1,)))
            kind = _KINDS.get(max(tags.get(_SAMPLE_FORMAT, (1,))), "samples of an unknown kind")
            return f"{kind} of {bits} bits" if bits > 16 or kind == _FLOATS else ""
    return ""


def _in_bytes(data: NDArray[np.uint8], kind: str) -> NDArray[np.uint8] | None:
    """Colours of samples that OpenCV would not take, or cut down to 0 and 1: black is 0.

    White is 1 of floats, and the most of whole numbers.

    Args:
        data: the file, uint8 [N].
        kind: what its samples are, in words.

    Returns:
        uint8 [H, W, 3], blue, green, red; None where it cannot be read.

    Raises:
        ValueError: it is not known what is white.
    """
    samples: Array | None = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if samples is None and kind == _FLOATS:
        return None
    if samples is None or not (samples.dtype.kind == "f" or samples.dtype == np.uint32):
        raise ValueError(f"its samples are {kind}")
    if samples.dtype == np.uint32:
        samples = samples / np.float64(_MOST_OF_32)
    samples = np.nan_to_num(samples, posinf=1.0)
    if float(np.median(samples)) > 1:
        most = f"{float(samples.max()):.6g}"
        raise ValueError(f"its samples are {kind} up to {most}, where 1 is white")
    pixels = np.rint(255 * samples.clip(0, 1)).astype(np.uint8)
    if pixels.ndim == 2:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), np.uint8)
    return np.ascontiguousarray(pixels[..., :3])


def decoded(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture of a kind that OpenCV does not read and FFmpeg may, as HEIC, as it is to be seen.

    Args:
        data: the file, uint8 [N].

    Returns:
        uint8 [H, W, 3], blue, green, red.

    Raises:
        av.FFmpegError: it is damaged or no picture.
        ValueError: it is put together in a way that is not carried out here.
    """
    content = data.tobytes()
    whole = whole_of(content) if is_heif(data) else None
    with av.open(io.BytesIO(content), "r", metadata_errors="replace") as container:
        if whole is not None and whole.tiled:
            return whole.joined(_tiles(container, whole.items))
        # Beside the picture there may be a small one of it, its depth and more.
        video = list(container.streams.video)
        main = [one for one in video if whole is not None and one.id in whole.items]
        picture = next(_pictures(container, (main or video)[:1]), None)
        if picture is None:
            raise ValueError("no picture comes out of it")
        pixels = _bgr(picture)
    return np.ascontiguousarray(pixels if whole is None else to_be_seen(content, pixels))


def _tiles(container: InputContainer, items: Sequence[int]) -> dict[int, NDArray[np.uint8]]:
    """The pixels of some of a file's pictures by their numbers, as far as they can be decoded."""
    streams = [one for one in container.streams.video if one.id in items]
    found: dict[int, NDArray[np.uint8]] = {}
    for packet in container.demux(streams):
        for picture in packet.decode():
            if isinstance(picture, av.VideoFrame):
                found.setdefault(packet.stream.id, _bgr(picture))
    return found


def _bgr(picture: av.VideoFrame) -> NDArray[np.uint8]:
    """A decoded picture's colours.

    Raises:
        ValueError: they are stored in a way that swscale lacks, and nothing comes near it.
    """
    stored = int(picture.colorspace)
    if readable_matrix(stored) != stored:
        if stored != _CONSTANT_LUMINANCE:
            raise ValueError(f"its colours are stored by a matrix ({stored}, H.273) not known here")
        picture.colorspace = readable_matrix(stored)
    return np.asarray(Scaler()(picture, pixel_format="bgr24").to_ndarray(), np.uint8)


def _pictures(container: InputContainer, streams: Sequence[VideoStream]) -> Iterator[av.VideoFrame]:
    for stream in streams:
        yield from container.decode(stream)


def opacity_of(data: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """How opaque the pixels of a picture are, as it is to be seen.

    Args:
        data: the file, uint8 [N].

    Returns:
        uint8 [H, W]; None where that cannot be told.
    """
    with overheard():  # whoever reads the colours is told
        return _opacity_of(data)


def _opacity_of(data: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    whole: Array | None
    whole, kinds, blobs = cv2.imdecodeWithMetadata(data, flags=cv2.IMREAD_UNCHANGED)
    if whole is None or whole.ndim < 3 or whole.shape[2] < 4:
        return None
    # Read so, it is not turned upright.
    notes = dict(zip(kinds, blobs, strict=True)).get(cv2.IMAGE_METADATA_EXIF)
    if is_heif(data):
        whole = to_be_seen(data.tobytes(), whole)
    elif notes is not None:
        whole = _turned(whole, _orientation_in(notes.tobytes()))
    upright = colours_of(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if upright is None or not np.array_equal(whole[..., :3], upright):
        return None
    if whole.dtype == np.uint16:
        return np.asarray(np.rint(whole[..., 3] / 257), np.uint8)
    return np.ascontiguousarray(whole[..., 3]) if whole.dtype == np.uint8 else None


def _orientation_in(exif: bytes) -> int:
    """How EXIF data say that a stored picture lies, 1 to 8 (Exif 2.3, 4.6.4); 1 is upright."""
    data = exif.removeprefix(_EXIF)
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return _UPRIGHT
    with contextlib.suppress(struct.error):
        for tags in directories(data, order):
            (lies, *_) = tags.get(_ORIENTATION, (_UPRIGHT,))
            return lies if 0 < lies < len(_REVERSED) else _UPRIGHT
    return _UPRIGHT


def is_mirrored(data: bytes) -> bool:
    """Whether a JPEG is to be seen with left and right exchanged, which few cameras ask for."""
    exif = [one for kind, one in segments(data) if kind == _APP1 and one.startswith(_EXIF)]
    return bool(exif) and _orientation_in(exif[0]) in _MIRRORED


def _turned(stored: Array, orientation: int) -> Array:
    """A stored picture, [H, W, ...], as it is to be seen by what `_orientation_in` says of it."""
    if orientation in _EXCHANGED:  # rows and columns are exchanged
        stored = stored.swapaxes(0, 1)
    rows, columns = _REVERSED[orientation]
    return stored[:: -1 if rows else 1, :: -1 if columns else 1]


def is_heif(data: NDArray[np.uint8]) -> bool:
    """Whether a file, uint8 [N], is one of HEIF's kind, HEIC or AVIF, and no film."""
    head = data[:_MOST_BRANDS].tobytes()
    if head[4:8] != b"ftyp":
        return False
    size = int.from_bytes(head[:4], "big")
    # What it is first of all, a version, and what else it is (ISO/IEC 14496-12, 4.3).
    brands = {head[at : at + 4] for at in (8, *range(16, min(size, len(head)) - 3, 4))}
    return not _PICTURES.isdisjoint(brands)
