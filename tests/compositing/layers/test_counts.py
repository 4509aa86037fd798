"""Lines, zones and numbers in the picture."""

import numpy as np
import pytest

from stream.compositing import Painter, Style
from stream.tally import LineTally, Tally, ZoneTally
from tests.compositing.pictures import astronaut, frame, people, samples

LINE = LineTally("door", ((20.0, 80.0), (180.0, 80.0)), {"person": 2}, {"dog": 1})
ZONE = ZoneTally(
    "hall", ((20.0, 20.0), (120.0, 20.0), (120.0, 140.0), (20.0, 140.0)), {"person": 1}
)


def painted(tally, instances=None, **style):
    picture = astronaut(200, 160)
    one = frame(picture, instances)
    one.tally = tally
    Painter("counts", Style(**style)).paint(one)
    return samples(one.image)


def changed(tally, **style):
    plain = samples(astronaut(200, 160))
    return painted(tally, **style)[0] != plain[0]


def test_a_line_is_drawn_with_its_arrow_and_numbers():
    there = changed(Tally((LINE,)))
    assert there[80, 25:175].mean() > 0.9, "without anybody in view too"
    assert there[83:92, 56:64].any(), "the arrow to the right of who looks along it"
    other = LineTally("door", LINE.points, {"person": 3}, {"dog": 1})
    assert (painted(Tally((LINE,)))[0] != painted(Tally((other,)))[0]).any()
    # It says who, not only how many.
    dogs = LineTally("door", LINE.points, {"dog": 2}, {"dog": 1})
    assert (painted(Tally((LINE,)))[0] != painted(Tally((dogs,)))[0]).any()


def test_a_zone_is_drawn_with_who_is_in_it():
    there = changed(Tally((), (ZONE,)))
    assert there[20:140, 20].mean() > 0.9
    assert there[30:70, 30:110].mean() > 0.8
    assert not there[:, 130:].any()


def test_without_lines_the_plate_says_what_is_in_view():
    picture = astronaut(200, 160)
    someone = people(picture, (20, 20, 80, 120))
    before = samples(astronaut(200, 160))
    after = painted(None, someone)
    rows, columns = np.nonzero(after[0] != before[0])
    assert rows.min() > 130
    assert columns.max() < 100
    assert not changed(None).any()


def test_lines_outside_and_on_the_edge_do_no_harm():
    far = LineTally("far", ((-9e5, -9e5), (-8e5, 9e5)))
    assert not (changed(Tally((far,)))[40:, 100:]).any()
    whole = ZoneTally("all", ((0.0, 0.0), (200.0, 0.0), (200.0, 160.0), (0.0, 160.0)))
    assert changed(Tally((), (whole,))).mean() > 0.8


def test_lines_and_zones_have_no_objects_colour_and_are_seen_on_anything():
    for palette in ((), ("ff0000", "00ff00")):
        style = {"palette": palette} if palette else {}
        plain, there = samples(astronaut(200, 160)), painted(Tally((LINE,), (ZONE,)), **style)
        line = there[0][80, 130:170]
        assert line.mean() > 210
        for before, after in zip(plain[1:], there[1:], strict=True):
            spread = np.abs(after[40, 60:90].astype(int) - 128).mean()
            assert spread <= np.abs(before[40, 60:90].astype(int) - 128).mean()
    for value in (0, 255):
        plain = frame(astronaut(200, 160), None)
        for plane in plain.image.planes[:1]:
            np.frombuffer(plane, np.uint8)[:] = value
        plain.tally = Tally((LINE,))
        Painter("counts", Style()).paint(plain)
        across = samples(plain.image)[0][74:87, 140].astype(int)
        assert np.ptp(across) > 150


@pytest.mark.parametrize("other", ["counts", "boxes", "trails"])
def test_no_line_goes_through_words_whatever_the_look_s_order(other):
    results = []
    for look in (f"labels+{other}", f"{other}+labels"):
        painter = Painter(look, Style())
        for x in (20, 30, 40):
            picture = astronaut(200, 160)
            one = frame(picture, people(picture, (x, 90, x + 80, 150)))
            one.tally = Tally((LINE,))
            painter.paint(one)
        results.append(samples(one.image))
    for first, second in zip(*results, strict=True):
        assert (first == second).all()


def test_labels_keep_clear_of_the_plate_with_numbers():
    """Both belong to the same place here; the plate stands still."""
    picture = astronaut(200, 160)
    there = painted(Tally((LINE,)))
    one = frame(picture, people(picture, (60, 86, 140, 150)))
    one.tally = Tally((LINE,))
    Painter("labels+counts", Style()).paint(one)
    plate = np.s_[62:76, 60:140]
    assert (samples(one.image)[0][plate] == there[0][plate]).all()
    assert (samples(one.image)[0] != there[0]).any(), "the label is elsewhere"
