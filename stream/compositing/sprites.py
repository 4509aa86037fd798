"""Small opaque or translucent images with text, prepared once and put into many pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.encoding import Encoding
from stream.compositing.palette import Colour
from stream.compositing.planes import Planes, Samples, blend, blend_prepared, part
from stream.kernels import compiled
from stream.kernels.memory import address_of
from stream.pictures.pixels import reduce_to
from stream.types import Array


@dataclass(frozen=True, slots=True)
class Sprite:
    """An image that is ready to be blended into pictures of one encoding and subsampling.

    Attributes:
        size: height and width in pixels of luma, multiples of the grid.
        keep: uint8 per plane, 255 where the picture shows through fully.
        added: per plane, of the planes' type: code values times opacity.
        addresses: where both of each plane lie in memory.
    """

    size: tuple[int, int]
    keep: tuple[NDArray[np.uint8], ...]
    added: tuple[Samples, ...]
    addresses: tuple[int, ...]

    def put(self, planes: Planes, top: int, left: int) -> None:
        """Blends it into a picture; the place lies on the grid and the sprite wholly inside."""
        height, width = self.size
        window = (top, top + height, left, left + width)
        for samples, step, keep, added in zip(
            planes.samples, planes.steps, self.keep, self.added, strict=True
        ):
            blend_prepared(part(samples, step, window), keep, added)


def put_all(planes: Planes, sprites: Sequence[tuple[Sprite, int, int]]) -> None:
    """Blends sprites into a picture, the one after the other.

    Args:
        planes: of the picture.
        sprites: and the rows and columns at which they lie; see `Sprite.put`.
    """
    kernels = compiled()
    if kernels is None or not planes.narrow:
        for sprite, top, left in sprites:
            sprite.put(planes, top, left)
    elif sprites:
        rows = [(top, left, *one.size, *one.addresses) for one, top, left in sprites]
        kernels.put(planes.places, np.array(rows, np.int64))


def make_sprite(
    text: NDArray[np.uint8],
    ink: Colour,
    backing: Colour,
    strength: float,
    radius: float,
    encoding: Encoding,
    steps: tuple[tuple[int, int], ...],
) -> Sprite:
    """Prepares text on a backing with rounded corners.

    Args:
        text: uint8, how much the text covers each pixel; its size is a multiple of the grid.
        ink: the text's colour.
        backing: the backing's colour.
        strength: the backing's opacity, 0..1; text is always opaque.
        radius: of the corners, in pixels.
        encoding: how colours are written.
        steps: rows and columns of luma per sample of each plane.
    """
    height, width = text.shape
    plate = _plate(height, width, radius, strength)
    keep, added = [], []
    for step, ink_code, backing_code in zip(
        steps, encoding.codes(ink), encoding.codes(backing), strict=False
    ):
        letters, plain = reduce_to(text, step), reduce_to(plate, step)
        dtype = np.uint8 if encoding.depth == 8 else np.uint16
        image: Array = np.zeros(letters.shape, dtype)
        blend(image, plain, backing_code)
        blend(image, letters, ink_code)
        clear = cv2.multiply(cv2.bitwise_not(plain), cv2.bitwise_not(letters), scale=1 / 255)
        keep.append(np.asarray(clear, np.uint8))
        added.append(image)
    keep, added = ([np.ascontiguousarray(one) for one in every] for every in (keep, added))
    both = zip(keep, added, strict=True)
    addresses = tuple(address_of(one) for pair in both for one in pair)
    return Sprite((height, width), tuple(keep), tuple(added), addresses)


def to_grid(height: int, width: int, grid: tuple[int, int]) -> tuple[int, int]:
    """A size rounded up to the grid."""
    rows, columns = grid
    return height + -height % rows, width + -width % columns


@lru_cache(maxsize=64)
def _plate(height: int, width: int, radius: float, strength: float) -> NDArray[np.uint8]:
    """A rectangle with rounded, anti-aliased corners: uint8 [height, width]."""
    # Half a pixel is a square corner: then the outermost pixels' centres are covered in full.
    radius = max(0.5, min(radius, height / 2, width / 2))
    # Distance beyond the inner rectangle on which the corners' centres lie.
    below = np.maximum(np.abs(np.arange(height) + 0.5 - height / 2) - (height / 2 - radius), 0)
    beside = np.maximum(np.abs(np.arange(width) + 0.5 - width / 2) - (width / 2 - radius), 0)
    cover = np.clip(radius - np.hypot.outer(below, beside) + 0.5, 0, 1)
    plate: NDArray[np.uint8] = np.round(255 * strength * cover).astype(np.uint8)
    return plate
