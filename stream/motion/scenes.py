"""Which scene of a film a picture belongs to."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.motion.flow import Grey
from stream.motion.propagator import is_cut

SIZE = (32, 24)
"""Of the pictures by which scenes are told: columns and rows."""

_DIFFERENCE = 30.0
"""Levels of brightness, in the mean, by which two scenes differ at least. Where a plain road is
seen or inference is rare, pictures of one scene have as little in common, but differ by less."""


class Scenes:
    """Counts the scenes of pictures that come in order. One thread at a time."""

    def __init__(self) -> None:
        self._before: Grey | None = None
        self._number = 0

    def __call__(self, grey: Grey) -> int:
        """The number of the scene that the next picture shows, from 0 on.

        Args:
            grey: of the picture, as `small_of` makes it.
        """
        before, self._before = self._before, grey
        self._number += int(before is not None and is_other_scene(before, grey))
        return self._number


def is_other_scene(before: Grey, grey: Grey) -> bool:
    """Whether two pictures, as `Scenes` looks at them, show different scenes."""
    if before.shape != grey.shape:
        return True
    # Few do, which is quickly seen.
    differs = cv2.mean(cv2.absdiff(before, grey))[0] >= _DIFFERENCE
    return bool(differs) and is_cut(before, grey)


def small_of(rgb: NDArray[np.uint8]) -> Grey:
    """What `Scenes` looks at of a picture.

    Args:
        rgb: uint8 [H, W, 3], the picture or a smaller one of it.
    """
    # Without colours first, which halves in a tenth of the time that three channels take.
    small: cv2.typing.MatLike = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    # Halves are quickly made, where one step to so few pixels takes several times as long.
    while small.shape[0] >= 4 * SIZE[1] and small.shape[1] >= 4 * SIZE[0]:
        rows, columns = small.shape[0] // 2, small.shape[1] // 2
        even = small[: 2 * rows, : 2 * columns]
        small = cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, SIZE, interpolation=cv2.INTER_AREA), np.uint8)
