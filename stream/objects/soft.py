"""Soft masks as text, exactly: for records that are painted again.

The four bytes of each float32 are written apart, all first ones, then all second ones, and so on,
since neighbours share their high bytes; then deflated (RFC 1950) and in base64 (RFC 4648).
"""

from __future__ import annotations

import base64
import binascii
import zlib

import numpy as np
from numpy.typing import NDArray

from stream.errors import UsageError

_LEVEL = 6


def encode(mask: NDArray[np.float32]) -> str:
    """Writes a soft mask.

    Args:
        mask: float32 [M, M].
    """
    small = np.ascontiguousarray(mask, "<f4").reshape(-1).view(np.uint8).reshape(-1, 4)
    return base64.b64encode(zlib.compress(small.T.tobytes(), _LEVEL)).decode("ascii")


def decode(text: str, cells: int) -> NDArray[np.float32]:
    """The mask that `encode` wrote, to the last bit.

    Args:
        text: what it wrote.
        cells: M, how many rows and columns it has.

    Returns:
        float32 [M, M].

    Raises:
        UsageError: it is no such text, or has another number of cells, or values beyond 0..1.
    """
    size = 4 * cells * cells
    try:
        # Never more than it may be, whatever the text claims.
        unpacked = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), size + 1)
    except (binascii.Error, ValueError, TypeError, zlib.error) as error:
        raise UsageError(f"a soft mask cannot be read: {error}") from error
    if len(unpacked) != size:
        raise UsageError(f"a soft mask has not the {cells}x{cells} cells that it should have")
    planes = np.frombuffer(unpacked, np.uint8).reshape(4, -1)
    mask = np.ascontiguousarray(planes.T).view("<f4").astype(np.float32).reshape(cells, cells)
    # Resampling along a motion may overshoot by a rounding.
    if not (np.abs(mask - 0.5) <= 0.501).all():  # False for NaN too
        raise UsageError("a soft mask has values beyond 0 to 1")
    return mask
