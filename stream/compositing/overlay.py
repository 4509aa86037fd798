"""The look `overlay`: a colour per object, half-transparent, with a contour and a label."""

from __future__ import annotations

from collections.abc import Sequence

import av
import numpy as np
from numpy.typing import NDArray

from stream.compositing.labels import Label, LabelPainter
from stream.compositing.looks import Look, Options, register
from stream.compositing.masks import Brush, MaskReader, crest, opacity, strips
from stream.compositing.palette import Colour, colour_of
from stream.compositing.planes import Planes, blend, part, reduce_to, writable_planes
from stream.instances import Instances
from stream.roi import Window

_LINE_OPACITY = 0.95

_STRIP = 120 * 1024
"""Bytes of luma that are painted at a time, so that what is made on the way stays small: larger
pieces of memory come fresh from the system each time, which costs more than the painting."""


@register("overlay")
class Overlay(Look):
    """A colour per object: by its track where it has one, so that it stays, else by its rank."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._labels = LabelPainter()
        self._reader = MaskReader()

    def paint(
        self, picture: av.VideoFrame, instances: Instances, occupied: Sequence[Window]
    ) -> av.VideoFrame:
        """Blends masks, contours and labels into the picture, the best score on top."""
        planes = writable_planes(picture)
        threshold = self.options.threshold_for(instances)
        brush = self._brush(*planes.size)
        labels: list[tuple[float, Label]] = []
        for index in reversed(range(len(instances))):
            mask, box = instances.masks[index], instances.mask_frames[index]
            found = self._reader.read(
                mask, box, planes.size, threshold, grid=planes.grid, margin=brush.margin
            )
            if found is None:
                continue
            window, inside = found
            identity = index if instances.track_ids is None else int(instances.track_ids[index])
            colour = colour_of(identity)
            _tint(planes, window, inside, brush, colour)
            if self.options.show_labels:
                x, y = crest(window, inside)
                label = Label(_label(instances, index), colour, x, y)
                labels.append((x if instances.track_ids is None else identity, label))
        # Who has the first choice of a place must not change with each frame's scores, or labels
        # that are close would keep swapping: the older track has it, else who is farther left.
        labels.sort(key=lambda entry: entry[0])
        self._labels.paint(planes, [label for _, label in labels], occupied)
        return picture

    def _brush(self, height: int, width: int) -> Brush:
        # Two pixels at 720p. The most that the table in `opacity` can count is twelve.
        line = min(12.0, max(1.5, min(height, width) / 360))
        return Brush(
            fill=self.options.opacity,
            line=_LINE_OPACITY,
            width=line if self.options.show_contours else 0,
        )


def _tint(
    planes: Planes, window: Window, inside: NDArray[np.uint8], brush: Brush, colour: Colour
) -> None:
    """Blends a colour into a window of the picture, as the brush says."""
    top, _, left, right = window
    codes = planes.encoding.codes(colour)
    most = _STRIP // planes.samples[0].itemsize
    for start, stop in strips(inside.shape, planes.grid, most):
        alpha = opacity(inside, brush, start, stop)
        reduced = {step: reduce_to(alpha, step) for step in planes.steps}
        rows = (top + start, top + stop, left, right)
        for samples, step, code in zip(planes.samples, planes.steps, codes, strict=False):
            blend(part(samples, step, rows), reduced[step], code)


def _label(instances: Instances, index: int) -> str:
    name = instances.class_names[instances.labels[index]]
    percent = f"{100 * float(instances.scores[index]):.0f}%"
    if instances.track_ids is None:
        return f"{name} {percent}"
    return f"{name} #{instances.track_ids[index]} {percent}"
