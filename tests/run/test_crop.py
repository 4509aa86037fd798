"""Parts of pictures as pictures of their own."""

from fractions import Fraction

import numpy as np
import pytest

from stream.frame import Frame
from stream.pictures.pixels import plane_view
from stream.run.crop import cropped
from tests.media import make_picture


@pytest.mark.parametrize(("pixels", "top", "left"), [("yuv420p", 6, 8), ("yuv444p", 7, 9)])
def test_a_part_begins_where_a_sample_of_colour_does(pixels, top, left):
    whole = Frame(make_picture(3, 64, 48, pixels), 0, 0, Fraction(1, 25))
    whole.alpha = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64).astype(np.uint8)
    small = cropped(whole, (7, 21, 9, 40))
    luma = plane_view(small.image.planes[0], 8)
    assert luma.shape == (21 - top, 40 - left)
    assert np.array_equal(luma, plane_view(whole.image.planes[0], 8)[top:21, left:40])
    assert np.array_equal(small.alpha, whole.alpha[top:21, left:40])
    step = 2 if pixels == "yuv420p" else 1
    chroma = plane_view(whole.image.planes[1], 8)[top // step :, left // step :]
    part = plane_view(small.image.planes[1], 8)
    assert np.array_equal(part, chroma[: part.shape[0], : part.shape[1]])
