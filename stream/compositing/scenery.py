"""What of a frame tells the scene that it shows, for layers that remember what was in it."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.canvas import Canvas
from stream.kernels import compiled
from stream.motion.propagator import is_cut
from stream.motion.scenes import SIZE, is_other_scene
from stream.pictures.pixels import plane_view
from stream.types import Array

Scenery = NDArray[np.uint8]
"""A picture's brightness, coarsely: uint8 of `SIZE`."""

_LEAST = 6
"""Cells of such a picture each way in which two are compared at one place."""


class Glance:
    """Some of a picture's brightness, from which what tells its scene is made once it is asked for.

    Args:
        canvas: the frame; nothing may be painted into it yet.
    """

    def __init__(self, canvas: Canvas) -> None:
        depth = canvas.encoding.depth
        if len(
            canvas.instances
        ):  # They are painted on then, so that they may be viewed for it now.
            luma: Array = canvas.planes.samples[0]
        else:
            luma = plane_view(canvas.picture.planes[0], depth)
        step = max(1, min(luma.shape) // 96)
        # A copy: the picture is painted on meanwhile.
        self._some: Scenery = _few(luma, step, depth)
        self._made = False

    @property
    def scenery(self) -> Scenery:
        """What tells the frame's scene, as for trackers."""
        if not self._made:
            small = cv2.resize(self._some, SIZE, interpolation=cv2.INTER_AREA)
            self._some, self._made = np.asarray(small, np.uint8), True
        return self._some


def _few(luma: Array, step: int, depth: int) -> Scenery:
    """Every so many samples each way, of eight bits."""
    kernels = compiled()
    if depth == 8 and kernels is not None:
        return kernels.sparse(np.asarray(luma, np.uint8), step)
    few = luma[::step, ::step]
    return np.array(few if depth == 8 else few >> (depth - 8), np.uint8, order="C")


def is_elsewhere(
    before: Scenery, now: Scenery, box: NDArray[np.float32], size: tuple[int, int]
) -> bool:
    """Whether a picture shows another scene than one before it, at this place as well.

    A light that goes on, a flash or somebody close before the camera may look like a cut in the
    whole picture; what is at a place keeps its pattern then, or has it again at once.

    Args:
        before: a picture in which something was there.
        now: a later one.
        box: where it was, x1, y1, x2, y2 in pixels.
        size: height and width of the pictures in pixels.
    """
    if not is_other_scene(before, now):
        return False
    left, top, right, bottom = box.tolist()
    rows = _cells(top / size[0], bottom / size[0], SIZE[1])
    columns = _cells(left / size[1], right / size[1], SIZE[0])
    return is_cut(before[rows, columns], now[rows, columns])


def _cells(first: float, last: float, count: int) -> slice:
    """The cells between two shares of a side, and as many around as are compared at least."""
    start = int(min(max(0.0, first), 1.0) * count)
    end = math.ceil(min(max(0.0, last), 1.0) * count)
    start = min(max(0, min(start, (start + end - _LEAST) // 2)), count - _LEAST)
    return slice(start, min(count, max(end, start + _LEAST)))
