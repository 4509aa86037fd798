"""What is behind darker."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

import cv2
import numpy as np

from stream.compositing.behind import Background, Behind
from stream.compositing.canvas import Canvas
from stream.compositing.encoding import Encoding
from stream.compositing.mattes import Matte
from stream.compositing.planes import Samples
from stream.types import Array


class Dim(Behind):
    """Makes what is behind darker; objects stay as they are."""

    thin: ClassVar[bool] = True

    def backgrounds(self, canvas: Canvas, matte: Matte) -> Sequence[Background | None]:
        """The planes, darker."""
        darkness, encoding = self.style.darkness, canvas.encoding
        if darkness == 0:
            return [None] * len(canvas.steps)
        luma, *chroma = canvas.planes.samples
        found: list[Background | None] = [_looked_up(luma, *_table(encoding, darkness, True))]
        for samples in chroma:
            if darkness == 1:
                found.append(encoding.neutral)
            else:
                found.append(_looked_up(samples, *_table(encoding, darkness, False)))
        return found


def _looked_up(samples: Samples, table: Array, _: int) -> Samples:
    if samples.dtype == np.uint8:
        return np.asarray(cv2.LUT(np.ascontiguousarray(samples), table), np.uint8)
    return np.asarray(table.take(samples, mode="clip"), np.uint16)


@lru_cache(maxsize=16)
def _table(encoding: Encoding, darkness: float, luma: bool) -> tuple[Array, int]:
    """Each code value darker: nearer to black in luma, to neutral in chroma."""
    dtype = np.uint8 if encoding.depth == 8 else np.uint16
    zero = encoding.black if luma else encoding.neutral
    values = np.arange(1 << encoding.depth)
    table = np.rint(zero + (1 - darkness) * (values - zero)).astype(dtype)
    # Below black, nothing gets brighter.
    return (np.minimum(table, values).astype(dtype) if luma else table), zero
