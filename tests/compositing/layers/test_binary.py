import numpy as np
import pytest

from stream.compositing import Painter
from stream.instances import Instances
from tests.compositing.pictures import FORMATS, astronaut, frame, people, samples


def binary(picture, instances):
    one = frame(picture, instances)
    Painter("binary").paint(one)
    return samples(one.image)


@pytest.mark.parametrize("pixels", FORMATS)
@pytest.mark.parametrize("full", [False, True])
def test_it_is_white_exactly_where_a_mask_is_and_black_elsewhere(pixels, full):
    picture = astronaut(161, 97, pixels)
    picture.color_range = 2 if full else 1
    instances = people(picture, (10, 20, 70, 90), (50, 10, 180, 95.5), (np.nan, 0, 9, 9))
    luma, *chroma = binary(picture, instances)
    shift = picture.format.components[0].bits - 8
    full = full or pixels.startswith("yuvj")
    white, black = ((256 << shift) - 1, 0) if full else (235 << shift, 16 << shift)
    assert np.array_equal(luma, np.where(instances.full_masks().any(axis=0), white, black))
    assert all((plane == 128 << shift).all() for plane in chroma)


@pytest.mark.parametrize("found", [None, Instances.empty(("person",), (97, 161))])
def test_it_is_black_where_nothing_is_found(found):
    luma, u, v = binary(astronaut(161, 97), found)
    assert (luma == 16).all()
    assert (u == 128).all()
    assert (v == 128).all()
