"""The colours of objects at their edges."""

from __future__ import annotations

import numpy as np
import pytest

from stream.compositing.own_colour import give_own_colours
from stream.compositing.planes import writable_planes
from stream.pictures.pixels import plane_view
from tests.compositing.pictures import astronaut, samples

WALL = (150, 110, 140)


@pytest.mark.parametrize("faint", [1, 2, 9, 40])
@pytest.mark.parametrize("beyond", [None, (16, 128, 128)])
def test_a_faint_speck_apart_from_objects_is_not_green(faint, beyond):
    """So little weighs as good as nothing, and a sum of as good as nothing is green."""
    picture = astronaut(640, 480, "yuv420p")
    for plane, value in zip(picture.planes, WALL, strict=True):
        plane_view(plane)[:] = value
    alpha = np.zeros((480, 640), np.uint8)
    alpha[200:300, 100:200] = 255
    alpha[240:242, 400:402] = faint
    give_own_colours(writable_planes(picture), alpha, (0, 480, 0, 640), 6, beyond)
    for plane, value, step in zip(samples(picture), WALL, (1, 2, 2), strict=True):
        speck = plane[240 // step : 242 // step, 400 // step : 402 // step]
        assert np.abs(speck.astype(int) - value).max() <= 2
