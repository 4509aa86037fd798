"""Grey pictures that get chroma."""

import numpy as np
import pytest

from stream.compositing import Painter, Style
from stream.compositing.chroma import coloured
from stream.compositing.planes import encoding_of
from tests.compositing.pictures import astronaut, frame, people, samples

SOLID = np.ones((28, 28), np.float32)


@pytest.mark.parametrize("pixels", ["gray", "gray10le", "gray12le", "gray16le"])
@pytest.mark.parametrize("size", [(64, 48), (61, 47)])
def test_luma_time_and_meaning_stay(pixels, size):
    for tagged, range_, matrix in ((0, 2, 2), (1, 1, 2), (2, 2, 0)):
        grey = astronaut(*size, pixels)
        grey.pts, grey.color_range, grey.colorspace = 7, tagged, matrix
        before = samples(grey)
        made = coloured(grey)
        luma, *chroma = samples(made)
        assert np.array_equal(luma, before[0]) and np.array_equal(samples(grey)[0], before[0])
        depth = encoding_of(made).depth
        assert depth == encoding_of(grey).depth
        assert all((one == 1 << depth - 1).all() for one in chroma)
        assert encoding_of(made).full_range == encoding_of(grey).full_range
        assert (made.pts, made.color_range, made.colorspace) == (7, range_, 2)


def test_masks_have_their_colours_on_a_grey_picture():
    grey = astronaut(64, 48, "gray")
    before = samples(grey)[0]
    one = frame(grey, people(grey, (8, 8, 40, 40), mask=SOLID))
    Painter("fill", Style(opacity=1.0, palette=("E6283C",)), timing=False).paint(one)
    red, green, blue = one.rgb()[24, 24].tolist()
    assert red > 200 and green < 70 and blue < 90
    assert np.array_equal(samples(one.image)[0][:, 44:], before[:, 44:])


def test_pictures_are_of_one_format_whether_something_is_found_or_not():
    painter = Painter("overlay", timing=False)
    for found in ((), ((8, 8, 40, 40),)):
        grey = astronaut(64, 48, "gray")
        one = frame(grey, people(grey, *found))
        painter.paint(one)
        assert one.image.format.name == "yuv420p"
