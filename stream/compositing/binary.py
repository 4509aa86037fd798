"""The look `binary`: white objects on black."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import av
import cv2
import numpy as np

from stream.compositing.looks import Look, register
from stream.compositing.masks import object_mask
from stream.compositing.planes import writable_planes
from stream.instances import Instances
from stream.roi import Window


@register("binary")
class Binary(Look):
    """White where any object is, black elsewhere, in the picture's own range; hard edges."""

    needs_instances: ClassVar[bool] = False

    def paint(
        self, picture: av.VideoFrame, instances: Instances, occupied: Sequence[Window]
    ) -> av.VideoFrame:
        """Replaces every sample of the picture."""
        planes = writable_planes(picture)
        threshold = self.options.threshold_for(instances)
        union = np.zeros(planes.size, np.uint8)
        for mask, box in zip(instances.masks, instances.boxes, strict=True):
            found = object_mask(mask, box, planes.size, threshold)
            if found is not None:
                (top, bottom, left, right), inside = found
                there = union[top:bottom, left:right]
                cv2.bitwise_or(there, inside, dst=there)
        luma, *chroma = planes.samples
        encoding = planes.encoding
        table = np.zeros(256, luma.dtype)
        table[0], table[1] = encoding.black, encoding.white
        luma[...] = cv2.LUT(union, table)
        for samples in chroma:
            samples.fill(encoding.neutral)
        return picture
