"""Lines and zones with what was counted at them, or how many objects are in view."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.canvas import Canvas
from stream.compositing.drawn import blend_in, window_around
from stream.compositing.layer import Layer
from stream.compositing.layers.contour import line_width
from stream.compositing.layers.labels import Label, LabelPainter
from stream.compositing.palette import INK, WHITE
from stream.compositing.style import Style
from stream.tally import LineTally, Point, ZoneTally
from stream.types import Array
from stream.wording.words import called

_LINE, _INSIDE = 230, 40
"""How strongly edges and the inside of a zone cover the picture, of 255."""

_COLOUR, _RIM = WHITE, INK
"""Of lines and zones, which are nobody's. One of the two is seen on anything."""

_FARTHEST = 30_000
"""Pixels that OpenCV draws to."""


class Counts(Layer):
    """Each line with an arrow to the side that counts as in, each zone, and a plate with numbers.

    They are white with a dark rim, whatever the palette, so that none seems to belong to an object.
    Without lines and zones the plate says what is in view.
    """

    stands_before: ClassVar[bool] = True
    to_be_read: ClassVar[int] = 1
    pastes: ClassVar[int] = 0
    remembers: ClassVar[bool] = True
    writes = True

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self._labels = LabelPainter(style.label_size)

    def paint(self, canvas: Canvas) -> None:
        """Draws all of them."""
        tally = canvas.tally
        labels: list[Label] = []
        places: tuple[LineTally | ZoneTally, ...] = ()
        if tally is not None:
            places = (*tally.lines, *tally.zones)
        for place in places:
            self._draw(canvas, place.points)
            x, y = np.mean(place.points, axis=0).tolist()
            if isinstance(place, ZoneTally):
                text = f"{place.name}: {_said(place.now)}"
            else:
                text = f"{place.name}: in {_crossed(place.into)}, out {_crossed(place.out)}"
            labels.append(Label(text, _COLOUR, x, y))
        if not places and len(canvas.instances):
            here = Counter(canvas.instances.names)
            labels.append(Label(_said(here), INK, 0, canvas.size[0]))
        if labels:
            canvas.occupied += self._labels.paint(canvas.planes, labels, canvas.occupied)

    def _draw(self, canvas: Canvas, points: Sequence[Point]) -> None:
        thickness = max(1, round(1.5 * line_width(canvas.size, self.style.contour_width)))
        rim = max(1, round(thickness / 3))
        corners = np.clip(np.rint(np.array(points)), -_FARTHEST, _FARTHEST).astype(np.int32)
        window = window_around(canvas, corners, 6 * thickness + rim + 2)
        if window is None:
            return
        corners = corners - (window[2], window[0])
        size = (window[1] - window[0], window[3] - window[2])
        around: Array = np.zeros(size, np.uint8)
        _strokes(around, corners, thickness + 2 * rim, thickness)
        blend_in(canvas, window, around, _RIM)
        alpha: Array = np.zeros(size, np.uint8)
        if len(corners) > 2:
            cv2.fillPoly(alpha, [corners], _INSIDE)
        _strokes(alpha, corners, thickness, thickness)
        blend_in(canvas, window, alpha, _COLOUR)


def _strokes(alpha: Array, corners: NDArray[np.int32], wide: int, thickness: int) -> None:
    """Draws a zone's edge, or a line with its arrow, `wide` pixels wide, into uint8 [H, W]."""
    if len(corners) > 2:
        cv2.polylines(alpha, [corners], True, _LINE, wide, cv2.LINE_AA)
        return
    first, last = corners
    cv2.line(alpha, first.tolist(), last.tolist(), _LINE, wide, cv2.LINE_AA)
    way = (last - first).astype(np.float64)
    # To the right of who looks along the line.
    across = np.array([-way[1], way[0]]) / max(1.0, float(np.hypot(*way)))
    # Away from the middle, where the plate is.
    foot = first + way / 4
    tip = np.rint(foot + 6 * thickness * across).astype(int).tolist()
    start = np.rint(foot).astype(int).tolist()
    cv2.arrowedLine(alpha, start, tip, _LINE, wide, cv2.LINE_AA, tipLength=0.5)


def _crossed(counts: Mapping[str, int]) -> str:
    return " + ".join(_ranked(counts)) or "0"


def _said(counts: Mapping[str, int]) -> str:
    return ", ".join(_ranked(counts)) or "empty"


def _ranked(counts: Mapping[str, int]) -> list[str]:
    ranked = sorted(counts.items(), key=lambda one: -one[1])
    return [f"{number} {called(name)}" for name, number in ranked]
