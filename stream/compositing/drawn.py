"""What is drawn in an object's colour rather than pasted: lines and shapes, where they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.compositing.canvas import Canvas
from stream.compositing.mattes import on_grid
from stream.compositing.palette import Colour
from stream.compositing.planes import blend, part
from stream.pictures.pixels import reduce_to
from stream.roi import Window


def window_around(
    canvas: Canvas, points: NDArray[np.integer] | NDArray[np.floating], reach: int
) -> Window | None:
    """The part of the picture that holds points and what is drawn about them.

    Args:
        canvas: is drawn on.
        points: (N, 2), x and y in pixels.
        reach: pixels about each that may be drawn on.

    Returns:
        Whole samples of chroma; None where all of it is outside the picture.
    """
    height, width = canvas.size
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    window: Window = (
        max(0, int(top) - reach),
        min(height, int(bottom) + reach + 1),
        max(0, int(left) - reach),
        min(width, int(right) + reach + 1),
    )
    if window[0] >= window[1] or window[2] >= window[3]:
        return None
    return on_grid(window, canvas.size, canvas.grid)


def blend_in(canvas: Canvas, window: Window, alpha: NDArray[np.uint8], colour: Colour) -> None:
    """Paints a colour as far as alpha says.

    Args:
        canvas: is painted on.
        window: where, from `window_around`.
        alpha: uint8 of the window's size, 0 to 255.
        colour: what is painted.
    """
    planes = canvas.planes
    codes = planes.encoding.codes(colour)
    for samples, step, code in zip(planes.samples, planes.steps, codes, strict=False):
        blend(part(samples, step, window), reduce_to(alpha, step), code)
