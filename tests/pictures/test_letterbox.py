from fractions import Fraction

import av
import numpy as np
import pytest

from stream.pictures.letterbox import Letterbox, placed
from stream.pictures.pixels import plane_view


def white(width, height, pixel_format="yuv420p"):
    picture = av.VideoFrame.from_ndarray(np.full((height, width, 3), 255, np.uint8), format="rgb24")
    picture = picture.reformat(format=pixel_format)
    picture.pts, picture.time_base = 7, Fraction(1, 30)
    return picture


@pytest.mark.parametrize("size", [(48, 96), (96, 48), (50, 90), (320, 320), (333, 190), (80, 490)])
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
    place = placed(size, (160, 120))
    # The last row and column may be a mixture with the bar behind it.
    assert (place.left, place.top) == (left, top)
    assert place.width - (columns.max() - left + 1) in (0, 1)
    assert place.height - (rows.max() - top + 1) in (0, 1)
    shape = (columns.max() - left + 1) / (rows.max() - top + 1)
    assert shape == pytest.approx(size[0] / size[1], rel=0.03)


def test_format_and_time_are_as_asked_and_another_kind_of_picture_may_follow():
    letterbox = Letterbox(64, 48, "yuv422p10le")
    for picture in (white(32, 32), white(40, 20, "yuv444p"), white(64, 48)):
        boxed = letterbox(picture)
        assert (boxed.width, boxed.height, boxed.format.name) == (64, 48, "yuv422p10le")
        assert boxed.pts * boxed.time_base == Fraction(7, 30)
    assert Letterbox(64, 48)(white(40, 20, "yuv444p")).format.name == "yuv444p"


def test_values_mean_what_they_meant():
    """Pictures that use all of them keep doing so, and say it."""
    for name, full in (("yuv420p", 1), ("yuv420p", 2), ("yuv444p", 2), ("yuvj420p", 2)):
        planes = np.full((72, 64), 128, np.uint8)
        planes[:48] = 0 if full == 2 else 16
        planes[:48, 32:] = 255 if full == 2 else 235
        picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        if name != "yuv420p":
            picture = picture.reformat(format=name, src_color_range=full, dst_color_range=full)
        picture.color_range, picture.colorspace = full, 6
        made = Letterbox(128, 96, "yuv420p")(picture)
        luma = plane_view(made.planes[0])
        ends = (0, 255) if full == 2 else (16, 235)
        assert (int(luma[0, 0]), int(luma[0, -1])) == ends, (name, full)
        assert made.colorspace == 6 and (made.color_range == 2) == (full == 2), (name, full)
