"""The small pictures that motion is measured on."""

import av
import pytest

from stream.motion.flow import small_grey
from stream.pixels import plane_view


@pytest.mark.parametrize("size", [(320, 240), (64, 48), (1280, 720), (8, 8)])
@pytest.mark.parametrize("pixels", ["yuv420p", "gray", "yuv420p10le"])
def test_a_small_picture_is_its_own_whatever_is_painted_later(size, pixels):
    picture = av.VideoFrame(*size, pixels)
    for plane in picture.planes:
        plane.update(bytes(plane.buffer_size))
    grey = small_grey(picture)
    plane_view(picture.planes[0], picture.format.components[0].bits)[...] = 200
    assert not grey.any()
