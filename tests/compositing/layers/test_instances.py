import numpy as np
import pytest

from stream.compositing import Painter, Style
from stream.compositing.palette import PALETTE
from stream.compositing.planes import encoding_of
from stream.pixels import plane_view
from tests.compositing.pictures import FORMATS, astronaut, frame, people, samples


@pytest.mark.parametrize("pixels", FORMATS)
def test_each_object_has_its_flat_colour_on_black(pixels):
    picture = astronaut(161, 97, pixels)
    instances = people(picture, (10, 20, 70, 90), (50, 10, 180, 95.5), tracks=[5, 2])
    one = frame(picture, instances)
    Painter("instances").paint(one)
    encoding = encoding_of(picture)
    first, second = instances.full_masks()
    luma = samples(picture)[0]
    assert (luma[first] == encoding.codes(PALETTE[4])[0]).all()
    assert (luma[second & ~first] == encoding.codes(PALETTE[1])[0]).all()
    assert (luma[~first & ~second] == encoding.codes((0, 0, 0))[0]).all()


def test_notes_and_earlier_layers_leave_no_trace():
    picture = astronaut(640, 480)
    one = frame(picture, people(picture, (100, 100, 300, 400), tracks=[1]))
    one.notes = ("gone",)
    Painter("fill+instances", Style(colours="object")).paint(one)
    assert len(np.unique(plane_view(picture.planes[0]))) == 2
