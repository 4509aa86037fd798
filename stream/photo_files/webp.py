"""Animated WebP: which pictures are in a file, and how each is laid upon the ones before it.

The chunks are those of RFC 9649. FFmpeg's release that is built in decodes WebP's stills alone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Bytes: TypeAlias = "bytes | memoryview"

_HEAD = 12
_EXTENDED = b"VP8X"
_ALPHA, _ANIMATED = 0x10, 0x02
_CLEARED, _REPLACES = 0x01, 0x02
"""What becomes of a picture's place before the next, and of what lies below it."""
_PIXELS = (b"ALPH", b"VP8 ", b"VP8L")
_USUAL = 100
"""Milliseconds of a picture for which the file says none, as browsers take them."""


@dataclass(frozen=True, slots=True)
class Part:
    """One picture of an animation, as it is stored: a part of the whole.

    Attributes:
        begin: milliseconds from the animation's beginning.
        lasts: milliseconds until the next.
        left: columns of the whole left of it.
        top: rows of the whole above it.
        width: in pixels.
        height: in pixels.
        flags: how it is laid upon what is there.
        data: its chunks.
    """

    begin: int
    lasts: int
    left: int
    top: int
    width: int
    height: int
    flags: int
    data: Bytes


@dataclass(frozen=True, slots=True)
class Animation:
    """What an animated WebP says of itself.

    Attributes:
        width: of the whole, in pixels.
        height: of the whole, in pixels.
        alpha: whether it is transparent in parts, as far as its parts' heads tell.
        parts: its pictures in their order.
        whole: whether the file is as long as it says.
    """

    width: int
    height: int
    alpha: bool
    parts: Sequence[Part]
    whole: bool

    @property
    def lasts(self) -> int:
        """Milliseconds that all pictures take."""
        return self.parts[-1].begin + self.parts[-1].lasts if self.parts else 0


def is_animated(head: Bytes) -> bool:
    """Whether a file that begins so is an animated WebP; 21 bytes tell."""
    return (
        len(head) > 20
        and head[:4] == b"RIFF"
        and head[8:16] == b"WEBP" + _EXTENDED
        and bool(head[20] & _ANIMATED)
    )


def animation_of(data: Bytes) -> Animation | None:
    """The pictures of a file, none of which is decoded; None where it is no animated WebP.

    Args:
        data: the file; of one that was cut short the pictures that are there whole.
    """
    if not is_animated(data) or len(data) < _HEAD + 18:
        return None
    view = memoryview(data)
    (declared,) = struct.unpack_from("<I", view, 4)
    parts: list[Part] = []
    begin = 0
    for name, content in _chunks(view[_HEAD:]):
        if name != b"ANMF" or len(content) < 16:
            continue
        left, top, width, height, lasts = (_three(content, at) for at in range(0, 15, 3))
        lasts = lasts or _USUAL
        parts.append(
            Part(begin, lasts, 2 * left, 2 * top, width + 1, height + 1, content[15], content[16:])
        )
        begin += lasts
    size = _three(view, 24) + 1, _three(view, 27) + 1
    alpha = bool(view[20] & _ALPHA) and _is_clear(size, parts)
    return Animation(*size, alpha, parts, declared + 8 <= len(view))


def _is_clear(size: tuple[int, int], parts: Sequence[Part]) -> bool:
    """Whether something of a whole of this size may be transparent.

    Programs say so of the file whether it is or not.
    """
    below = False  # whether what lies below the next part is opaque
    for part in parts:
        clear = _has_opacity(part)
        below = below or ((part.width, part.height) == size and not clear)
        if not below or (clear and part.flags & _REPLACES):
            return True
        below = not part.flags & _CLEARED
    return False


def _has_opacity(part: Part) -> bool:
    for name, data in _chunks(part.data):
        if name == b"ALPH":
            return True
        # 8 bits of signature, 14 of width, 14 of height, then whether there is opacity.
        if name == b"VP8L" and len(data) >= 5:
            return bool(struct.unpack_from("<I", data, 1)[0] >> 28 & 1)
    return False


class Canvas:
    """What is seen, one picture after the other.

    Args:
        animation: which is gone through from its beginning.
    """

    def __init__(self, animation: Animation) -> None:
        self._seen = np.zeros((animation.height, animation.width, 4), np.uint8)
        self._cleared: Part | None = None

    def lay(self, part: Part) -> Pixels:
        """The whole with one more picture laid upon it.

        Args:
            part: the next one.

        Returns:
            uint8 [H, W, 4], blue, green, red, opacity; changed by the next call.

        Raises:
            ValueError: it is damaged; the next is laid upon what is there without it.
        """
        if self._cleared is not None:
            self._place(self._cleared)[:] = 0
            self._cleared = None
        pixels = _decoded(part)
        place = self._place(part)
        if place.shape != pixels.shape:
            raise ValueError("the picture lies beyond the animation's edges")
        if part.flags & _REPLACES:
            np.copyto(place, pixels)
        else:
            _blend(place, pixels)
        if part.flags & _CLEARED:
            self._cleared = part
        return self._seen

    def _place(self, part: Part) -> Pixels:
        return self._seen[part.top : part.top + part.height, part.left : part.left + part.width]


def _decoded(part: Part) -> Pixels:
    """The pixels of a picture, uint8 [h, w, 4]."""
    kept = [(name, data) for name, data in _chunks(part.data) if name in _PIXELS]
    pieces = [_chunk(name, data) for name, data in kept]
    if any(name == b"ALPH" for name, _ in kept):
        size = (part.width - 1).to_bytes(3, "little") + (part.height - 1).to_bytes(3, "little")
        pieces.insert(0, _chunk(_EXTENDED, bytes((_ALPHA, 0, 0, 0)) + size))
    body = b"WEBP" + b"".join(pieces)
    file = np.frombuffer(b"RIFF" + struct.pack("<I", len(body)) + body, np.uint8)
    try:
        found = cv2.imdecode(file, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ValueError(error.err or str(error)) from error
    if found is None or found.shape[:2] != (part.height, part.width):
        raise ValueError("a picture is damaged")
    if found.shape[2] == 3:
        found = cv2.cvtColor(found, cv2.COLOR_BGR2BGRA)
    return np.asarray(found, np.uint8)


def _blend(below: Pixels, above: Pixels) -> None:
    """Lays a picture upon another, of which it shows what the first does not cover.

    Neither's colours are multiplied by its opacity (RFC 9649, 2.7.1.1).
    """
    opacity = above[..., 3]
    covers = opacity == 255
    np.copyto(below, above, where=covers[..., None])
    mixed = np.nonzero(~covers & (opacity > 0))
    if not len(mixed[0]):
        return
    upper, lower = above[mixed].astype(np.float32), below[mixed].astype(np.float32)
    share = upper[:, 3:] / 255
    left = lower[:, 3:] / 255 * (1 - share)
    whole = share + left
    colours = (upper[:, :3] * share + lower[:, :3] * left) / whole
    below[mixed] = np.rint(np.concatenate([colours, 255 * whole], axis=1)).astype(np.uint8)


def _chunks(data: Bytes) -> Iterator[tuple[bytes, memoryview]]:
    """The chunks that are there whole: name and content."""
    view = memoryview(data)
    at = 0
    while at + 8 <= len(view):
        (size,) = struct.unpack_from("<I", view, at + 4)
        if at + 8 + size > len(view):
            return
        yield bytes(view[at : at + 4]), view[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _chunk(name: bytes, content: Bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + bytes(content) + bytes(len(content) % 2)


def _three(data: Bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")
