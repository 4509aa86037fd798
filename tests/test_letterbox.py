from fractions import Fraction

import av
import numpy as np
import pytest

from stream.letterbox import Letterbox
from stream.pixels import plane_view


def white(width, height, pixel_format="yuv420p"):
    picture = av.VideoFrame.from_ndarray(np.full((height, width, 3), 255, np.uint8), format="rgb24")
    picture = picture.reformat(format=pixel_format)
    picture.pts, picture.time_base = 7, Fraction(1, 30)
    return picture


@pytest.mark.parametrize("size", [(48, 96), (96, 48), (50, 90), (320, 320)])
def test_the_whole_picture_stands_in_the_middle_between_black_bars(size):
    boxed = Letterbox(160, 120)(white(*size))
    luma = plane_view(boxed.planes[0], 8)
    assert luma.shape == (120, 160)
    rows, columns = np.nonzero(luma > 200)
    left, right = columns.min(), 159 - columns.max()
    top, bottom = rows.min(), 119 - rows.max()
    assert min(left, top) == 0
    assert abs(int(left) - int(right)) <= 3 and abs(int(top) - int(bottom)) <= 3
    assert left % 2 == top % 2 == 0
    shape = (columns.max() - left + 1) / (rows.max() - top + 1)
    assert shape == pytest.approx(size[0] / size[1], rel=0.03)


def test_format_and_time_are_as_asked_and_another_kind_of_picture_may_follow():
    letterbox = Letterbox(64, 48, "yuv422p10le")
    for picture in (white(32, 32), white(40, 20, "yuv444p"), white(64, 48)):
        boxed = letterbox(picture)
        assert (boxed.width, boxed.height, boxed.format.name) == (64, 48, "yuv422p10le")
        assert boxed.pts * boxed.time_base == Fraction(7, 30)
    assert Letterbox(64, 48)(white(40, 20, "yuv444p")).format.name == "yuv444p"
