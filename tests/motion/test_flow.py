"""The small pictures that motion is measured on, and how it is measured."""

import av
import cv2
import numpy as np
import pytest

from stream.motion.flow import FlowMeter, Grey, small_grey
from stream.pictures.pixels import plane_view


@pytest.mark.parametrize("size", [(320, 240), (64, 48), (1280, 720), (8, 8)])
@pytest.mark.parametrize("pixels", ["yuv420p", "gray", "yuv420p10le"])
def test_a_small_picture_is_its_own_whatever_is_painted_later(size, pixels):
    picture = av.VideoFrame(*size, pixels)
    for plane in picture.planes:
        plane.update(bytes(plane.buffer_size))
    grey = small_grey(picture)
    plane_view(picture.planes[0], picture.format.components[0].bits)[...] = 200
    assert not grey.any()


def moving(height: int, width: int) -> tuple[Grey, Grey]:
    """A textured picture, and the same three pixels on."""
    noise = np.random.default_rng(3).integers(0, 256, (height, width), np.uint8)
    before = cv2.GaussianBlur(noise, (0, 0), 2) * np.uint8(2)
    return before, np.roll(before, 3, axis=1)


def test_a_meter_that_saw_pictures_of_other_sizes_measures_as_a_new_one() -> None:
    """OpenCV's own writes past its buffers where a guess of another size comes."""
    meter = FlowMeter()
    for size in ((120, 160), (48, 64), (120, 160), (160, 120)):
        before, after = moving(*size)
        found = meter.between(before, after)
        np.testing.assert_array_equal(found, FlowMeter().between(before, after))
        guess = found.copy()
        again = meter.between(before, after, guess)
        np.testing.assert_array_equal(again, FlowMeter().between(before, after, guess))
        np.testing.assert_array_equal(guess, found)
        assert not np.array_equal(again, found), "a guess makes a difference"


def test_a_meter_looks_at_the_fine_scale_as_it_was_told_last() -> None:
    before, after = moving(120, 160)
    coarse = FlowMeter()
    coarse.fine = False
    meter = FlowMeter()
    assert meter.fine and not coarse.fine
    fine, rough = meter.between(before, after), coarse.between(before, after)
    assert not np.array_equal(fine, rough)
    for told, wanted in ((False, rough), (True, fine), (True, fine)):
        meter.fine = told
        assert meter.fine is told
        np.testing.assert_array_equal(meter.between(before, after), wanted)


@pytest.mark.parametrize("size", [(1, 480), (480, 1), (2, 16384), (16384, 3)])
def test_of_a_thread_of_a_picture_there_is_a_small_one_too(size: tuple[int, int]) -> None:
    picture = av.VideoFrame(*size, "gray")
    plane_view(picture.planes[0])[...] = 77
    grey = small_grey(picture)
    assert min(grey.shape) >= 16 and max(grey.shape) <= 330
    assert (grey == 77).all()
