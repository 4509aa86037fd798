"""The look `binary`: white objects on black."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import av
import numpy as np

from stream.compositing.looks import Look, Options, register
from stream.compositing.masks import MaskReader, strips
from stream.compositing.planes import writable_planes
from stream.instances import Instances
from stream.roi import Window

_STRIP = 48 * 1024
"""Pixels that are painted at a time."""


@register("binary")
class Binary(Look):
    """White where any object is, black elsewhere, in the picture's own range; hard edges."""

    needs_instances: ClassVar[bool] = False

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._reader = MaskReader()

    def paint(
        self, picture: av.VideoFrame, instances: Instances, occupied: Sequence[Window]
    ) -> av.VideoFrame:
        """Replaces every sample of the picture."""
        planes = writable_planes(picture)
        threshold = self.options.threshold_for(instances)
        luma, *chroma = planes.samples
        luma.fill(planes.encoding.black)
        white = luma.dtype.type(planes.encoding.white)
        for mask, box in zip(instances.masks, instances.mask_frames, strict=True):
            found = self._reader.read(mask, box, planes.size, threshold)
            if found is not None:
                (top, bottom, left, right), inside = found
                there: Any = luma[top:bottom, left:right]
                for start, stop in strips(inside.shape, (1, 1), _STRIP):
                    rows = there[start:stop]
                    np.maximum(rows, inside[start:stop] * white, out=rows)
        for samples in chroma:
            samples.fill(planes.encoding.neutral)
        return picture
