import numpy as np
import pytest

from stream.compositing import Painter, Style
from stream.compositing.palette import PALETTE
from stream.compositing.planes import encoding_of
from stream.errors import UsageError
from stream.pictures.pixels import plane_view
from tests.compositing.pictures import FORMATS, astronaut, frame, people, samples


@pytest.mark.parametrize("pixels", FORMATS)
def test_each_object_has_its_flat_colour_on_black(pixels):
    picture = astronaut(161, 97, pixels)
    instances = people(picture, (10, 20, 70, 90), (50, 10, 180, 95.5), tracks=[5, 2])
    one = frame(picture, instances)
    Painter("instances").paint(one)
    encoding = encoding_of(one.image)
    first, second = instances.full_masks()
    luma = samples(one.image)[0]
    assert (luma[first & ~second] == encoding.codes(PALETTE[4])[0]).all()
    assert (luma[second] == encoding.codes(PALETTE[1])[0]).all()
    assert (luma[~first & ~second] == encoding.codes((0, 0, 0))[0]).all()


def test_notes_and_earlier_layers_leave_no_trace():
    picture = astronaut(640, 480)
    one = frame(picture, people(picture, (100, 100, 300, 400), tracks=[1]))
    one.notes = ("gone",)
    Painter("fill+instances", Style(colours="object")).paint(one)
    assert len(np.unique(plane_view(picture.planes[0]))) == 2


@pytest.mark.parametrize("pixels", ["yuv420p", "gray10le"])
def test_identities_are_the_values_of_a_16_bit_picture(pixels):
    picture = astronaut(200, 160, pixels)
    picture.pts = 7
    found = people(picture, (20, 20, 90, 140), (60, 30, 180, 150), tracks=[300, 41])
    one = frame(picture, found)
    Painter("instances", Style(identities=True)).paint(one)
    assert one.image.format.name == "gray16le" and one.image.pts == 7
    (values,) = samples(one.image)
    first, second = found.full_masks()
    expected = np.where(second, 41, np.where(first, 300, 0))
    assert np.array_equal(values, expected)


def test_identities_may_be_classes_and_are_places_where_nothing_tracks():
    found = people(astronaut(), (20, 20, 90, 140), (110, 30, 180, 150))
    for colours, values in (("track", [0, 1, 2]), ("class", [0, 1])):
        style = Style(identities=True, colours=colours)
        one = frame(astronaut(), found)
        Painter("instances", style).paint(one)
        assert np.unique(samples(one.image)[0]).tolist() == values


def test_more_identities_than_values_are_said():
    found = people(astronaut(), (20, 20, 90, 140), tracks=[70000])
    painter = Painter("instances", Style(identities=True))
    painter.paint(one := frame(astronaut(), found))
    assert samples(one.image)[0].max() == 65535
    assert painter.remarks == ["identities go up to 70000; those above 65535 are written as 65535"]


def test_identities_stand_alone():
    with pytest.raises(UsageError, match=r"instances stands alone: .*labels would paint over"):
        Painter("instances+labels", Style(identities=True))
