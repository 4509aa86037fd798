"""The way that each object came."""

from __future__ import annotations

from collections import deque
from typing import ClassVar

import cv2
import numpy as np

from stream.compositing.canvas import Canvas
from stream.compositing.drawn import blend_in, window_around
from stream.compositing.layer import Layer
from stream.compositing.layers.contour import line_width
from stream.compositing.palette import Colour
from stream.compositing.scenery import Glance
from stream.compositing.style import Style
from stream.motion.scenes import Scenes
from stream.pictures.sizes import in_another_size
from stream.types import Array

_OPACITY = 0.9
_SUBPIXEL = 4  # bits


class Trails(Layer):
    """A line of the places where each object's box had its middle, older ones fading.

    Objects must have identities over time; without a tracker there are no trails.
    """

    stands_before: ClassVar[bool] = True
    pastes: ClassVar[int] = 0
    coloured = True
    remembers: ClassVar[bool] = True

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self._ways: dict[int, deque[tuple[float, float, float]]] = {}
        self._colours: dict[int, Colour] = {}
        self._last = -np.inf
        self._size: tuple[int, int] | None = None
        self._scenes, self._scene = Scenes(), 0

    def plan(self, canvas: Canvas) -> None:
        """Looks for a cut before anything is painted; nobody's way leads from scene to scene."""
        scene = self._scenes(Glance(canvas).scenery)
        if scene != self._scene:
            self._forget()
        self._scene = scene

    def paint(self, canvas: Canvas) -> None:
        """Draws each line in its object's colour; also of objects that are gone, until it fades."""
        self._remember(canvas)
        for identity, way in self._ways.items():
            self._draw(canvas, list(way), self._colours[identity])

    def _forget(self) -> None:
        self._ways.clear()
        self._colours.clear()

    def _remember(self, canvas: Canvas) -> None:
        now, instances = canvas.seconds, canvas.instances
        if now < self._last:  # Another source, or from the start again.
            self._forget()
        self._last = now
        self._resize(instances.picture_size)
        if instances.track_ids is not None:
            for index, identity in enumerate(instances.track_ids.tolist()):
                x1, y1, x2, y2 = instances.boxes[index].tolist()
                x, y = (x1 + x2) / 2, (y1 + y2) / 2
                if np.isfinite((x, y)).all() and max(abs(x), abs(y)) < 1e5:
                    self._ways.setdefault(identity, deque()).append((now, x, y))
                    self._colours[identity] = canvas.colour(index)
        for identity, way in list(self._ways.items()):
            while way and way[0][0] < now - self.style.trail:
                way.popleft()
            if not way:
                del self._ways[identity], self._colours[identity]

    def _resize(self, size: tuple[int, int]) -> None:
        """Moves all ways to where a picture of another size shows the same."""
        before, self._size = self._size, size
        if before is None or before == size:
            return
        for identity, way in self._ways.items():
            places = np.array([place[1:] for place in way], np.float32)
            moved = in_another_size(places, before, size).tolist()
            self._ways[identity] = deque(
                (place[0], x, y) for place, (x, y) in zip(way, moved, strict=True)
            )

    def _draw(self, canvas: Canvas, way: list[tuple[float, float, float]], colour: Colour) -> None:
        if len(way) < 2:
            return
        thickness = max(1, round(line_width(canvas.size, self.style.contour_width) * 1.5))
        points = np.array([place[1:] for place in way])
        window = window_around(canvas, points, thickness + 2)
        if window is None:
            return
        alpha: Array = np.zeros((window[1] - window[0], window[3] - window[2]), np.uint8)
        # Pixels' middles are at halves.
        at = np.rint((points - (window[2] + 0.5, window[0] + 0.5)) * (1 << _SUBPIXEL))
        at = at.astype(np.int32)
        ages = [(way[-1][0] - place[0]) / self.style.trail for place in way]
        for first, second, age in zip(at[:-1], at[1:], ages, strict=False):
            strength = round(255 * _OPACITY * (1 - 0.8 * min(1.0, age)))
            ends = first.tolist(), second.tolist()
            cv2.line(alpha, *ends, strength, thickness, cv2.LINE_AA, _SUBPIXEL)
        blend_in(canvas, window, alpha, colour)
