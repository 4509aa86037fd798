"""Where places of a picture lie in one of another size, as streams change it on the way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def growth(before: tuple[int, int], after: tuple[int, int]) -> float:
    """By how much what is seen is larger: heights and widths of pictures that show the same.

    Their diagonals tell. Of a stream that changes to a finer picture this is the scale, and of a
    phone that is turned upright, whose camera stays the same, it is 1.
    """
    return float(np.hypot(*after) / np.hypot(*before))


def in_another_size(
    places: NDArray[np.float32], before: tuple[int, int], after: tuple[int, int]
) -> NDArray[np.float32]:
    """Places of a picture, or boxes, in one of another size; what was in the middle still is.

    Args:
        places: float32 (..., 2) or (..., 4), x and y in turn.
        before: the height and width of the picture that they are of.
        after: those of the other one.
    """
    pairs = places.shape[-1] // 2
    from_middle, to_middle = (
        np.tile(np.array(size[::-1], np.float32) / 2, pairs) for size in (before, after)
    )
    moved = (places - from_middle) * np.float32(growth(before, after)) + to_middle
    return np.asarray(moved, np.float32)
