import numpy as np
import pytest

from stream.compositing.palette import BLACK, WHITE
from stream.compositing.planes import writable_planes
from stream.compositing.sprites import make_sprite, put_all, to_grid
from tests.compositing.pictures import FORMATS, astronaut, rounded_by_opencv, samples


@pytest.mark.parametrize("pixels", FORMATS)
def test_a_stamp_changes_only_its_own_place(pixels):
    picture = astronaut(60, 40, pixels)
    before = samples(picture)
    planes = writable_planes(picture)
    height, width = to_grid(9, 17, planes.grid)
    sprite = make_sprite(
        np.zeros((height, width), np.uint8), WHITE, BLACK, 1.0, 0, planes.encoding, planes.steps
    )
    sprite.put(planes, 8, 12)
    for old, new, (rows, columns), code in zip(
        before, samples(picture), planes.steps, planes.encoding.codes(BLACK), strict=False
    ):
        there = np.s_[8 // rows : (8 + height) // rows, 12 // columns : (12 + width) // columns]
        assert (new[there] == code).all()
        new[there] = old[there]
        assert np.array_equal(old, new)


@rounded_by_opencv
def test_text_is_opaque_and_the_backing_lets_through_what_it_should():
    picture = astronaut(60, 40, "yuv444p")
    luma = writable_planes(picture).samples[0]
    luma[:] = 116
    planes = writable_planes(picture)
    text = np.zeros((10, 20), np.uint8)
    text[4:6] = 255
    make_sprite(text, WHITE, BLACK, 0.5, 0, planes.encoding, planes.steps).put(planes, 0, 0)
    assert (luma[4:6, :20] == 235).all()
    assert (luma[:4, :20] == 66).all()  # Half way from 116 to black, 16.


def test_corners_are_round():
    planes = writable_planes(astronaut(60, 40, "gray"))
    planes.samples[0][:] = 255
    blank = np.zeros((20, 30), np.uint8)
    make_sprite(blank, WHITE, BLACK, 1.0, 6, planes.encoding, planes.steps).put(planes, 0, 0)
    luma = planes.samples[0]
    assert luma[0, 0] == luma[19, 29] == 255
    assert luma[10, 0] == luma[0, 15] == luma[10, 15] == 0


@rounded_by_opencv
@pytest.mark.parametrize("pixels", FORMATS)
def test_many_are_put_one_after_the_other(pixels):
    pictures = []
    for at_once in (False, True):
        picture = astronaut(60, 40, pixels)
        planes = writable_planes(picture)
        sprites = []
        for index, colour in enumerate(((200, 40, 90), (10, 250, 30), WHITE)):
            height, width = to_grid(9 + index, 17, planes.grid)
            text = np.zeros((height, width), np.uint8)
            text[2:5, index : index + 6] = 180
            sprite = make_sprite(text, BLACK, colour, 0.7, 3, planes.encoding, planes.steps)
            sprites.append((sprite, 4 + 4 * index, 4 + 8 * index))
        if at_once:
            put_all(planes, sprites)
        else:
            for sprite, top, left in sprites:
                sprite.put(planes, top, left)
        pictures.append(samples(picture))
    for one, other in zip(*pictures, strict=True):
        assert np.array_equal(one, other)
    put_all(planes, [])


def test_a_size_is_rounded_up_to_the_grid():
    assert to_grid(9, 17, (2, 4)) == (10, 20)
    assert to_grid(8, 16, (2, 4)) == (8, 16)
